/** `completion`: a script by which the shell asks `mini-kube __complete` what could stand next. */
import { own } from "../../util/keys.ts";
import { UsageError } from "../io.ts";
import { type CommandModule, examples } from "../command.ts";

const BASH = `# bash completion of mini-kube: source <(mini-kube completion bash)
_mini_kube() {
  local IFS=$'\\n'
  local line="\${COMP_LINE:0:COMP_POINT}" words=() current
  # TYPE/NAME and key=value are one word to mini-kube, whatever COMP_WORDBREAKS says.
  IFS=' ' read -ra words <<<"$line"
  [[ "$line" == *' ' ]] && words+=("")
  current="\${words[-1]}"
  COMPREPLY=($(mini-kube __complete -- "\${words[@]:1}" 2>/dev/null | cut -f1))
  local broken="\${current%"\${COMP_WORDS[COMP_CWORD]}"}"
  [[ "\${COMP_WORDS[COMP_CWORD]}" == [=:] ]] && broken="$current"
  COMPREPLY=("\${COMPREPLY[@]#"$broken"}")
  if [[ \${#COMPREPLY[@]} -eq 0 ]]; then compopt -o default; fi
}
complete -F _mini_kube mini-kube
`;

const ZSH = `#compdef mini-kube
# zsh completion of mini-kube: source <(mini-kube completion zsh)
_mini_kube() {
  local -a found
  local line
  while IFS= read -r line; do
    found+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done < <(mini-kube __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)
  if (( \${#found} )); then _describe 'mini-kube' found; else _files; fi
}
compdef _mini_kube mini-kube
`;

const FISH = `# fish completion of mini-kube: mini-kube completion fish | source
function __mini_kube_complete
  set -l words (commandline -opc) (commandline -ct)
  mini-kube __complete -- $words[2..-1] 2>/dev/null
end
complete -c mini-kube -a '(__mini_kube_complete)'
`;

const SCRIPTS: Readonly<Record<string, string>> = { bash: BASH, zsh: ZSH, fish: FISH };

export const command: CommandModule = {
  define: (c, run) =>
    c
      .argument("<shell>", "bash, zsh or fish")
      .addHelpText(
        "after",
        examples(
          "source <(mini-kube completion bash)      in this shell; put it in ~/.bashrc to keep it",
          "source <(mini-kube completion zsh)",
          "mini-kube completion fish | source",
        ),
      )
      .action(
        run((session, shell: string) => {
          const script = own(SCRIPTS, shell);
          if (script === undefined)
            throw new UsageError(`unknown shell ${JSON.stringify(shell)}: choose bash, zsh or fish`);
          return session.say(script);
        }),
      ),
};
