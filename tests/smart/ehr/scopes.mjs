// SMART's scopes for resources, in the notation of version 1 (.read, .write, .*) and of version 2 (.cruds).
const TARGET = "(patient|user|system)/(\\*|[A-Z][A-Za-z]*)";
const V1 = new RegExp(`^${TARGET}\\.(read|write|\\*)$`);
const V2 = new RegExp(`^${TARGET}\\.(c?r?u?d?s?)$`);
const V1_PERMISSIONS = { read: "rs", write: "cud", "*": "cruds" };

// {level, type, permissions, version} of such a scope; null for any other text.
export function resourceScope(text) {
  const [version, match] = V1.test(text) ? [1, V1.exec(text)] : [2, V2.exec(text)];
  const [, level, type, suffix] = match ?? [];
  return suffix ? { level, type, permissions: V1_PERMISSIONS[suffix] ?? suffix, version } : null;
}
