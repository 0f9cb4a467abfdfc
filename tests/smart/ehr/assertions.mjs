// Signs client assertions with a new key pair. Standard input: {"algorithm", "assertions": [{"header", "claims"}, ...]};
// standard output: {"jwks" (the public key alone), "assertions": [JWT, ...]}.
import { readFileSync } from "node:fs";
import { CompactSign, exportJWK, generateKeyPair } from "jose";

const { algorithm, assertions } = JSON.parse(readFileSync(0, "utf8"));
const { publicKey, privateKey } = await generateKeyPair(algorithm);
const kid = "test-key";
const sign = ({ header, claims }) =>
  new CompactSign(Buffer.from(JSON.stringify(claims)))
    .setProtectedHeader({ alg: algorithm, kid, typ: "JWT", ...header })
    .sign(privateKey);
const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid, alg: algorithm, use: "sig" }] };
process.stdout.write(JSON.stringify({ jwks, assertions: await Promise.all(assertions.map(sign)) }));
