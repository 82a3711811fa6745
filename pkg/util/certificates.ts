/** What a certificate request asks for. */
export interface RequestedCertificate {
  readonly commonName: string;
  readonly organizations: readonly string[];
  readonly names: Readonly<Record<"DNS" | "IP" | "Email" | "URI", readonly string[]>>;
}

/** Reads and signs what others ask for, by keys of their own. Texts are PEM. */
export interface CertificateAuthority {
  /** Rejects what is no certificate request, or is not signed by the key it is for. */
  read(request: string): Promise<RequestedCertificate>;
  /** `usages`: as Kubernetes names them. Good for `seconds`, but no longer than the authority itself. */
  sign(request: string, o: { readonly usages: readonly string[]; readonly seconds: number }): Promise<string>;
}
