// Compares each operation for the user in the path with the same operation for the user whom the token names. They may
// differ in their address, ids (operationId, the parameter user_id), words (tags, summary, description) and the response
// 403, and in nothing else.

const USER_ID = '#/components/parameters/PathUserId';
const FAMILY = /^\/api\/(?:me$|tasks(?:\/|$))/;

const tokenAddress = (path) => (path === '/api/{user_id}' ? '/api/me' : path.replace('/api/{user_id}/', '/api/'));

const sorted = (value) => {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]));
};

const comparable = (item, method) => {
  const { operationId, tags, summary, description, ...rest } = item[method];
  const { 403: forbidden, ...responses } = rest.responses ?? {};
  const shared = (item.parameters ?? []).filter((parameter) => parameter.$ref !== USER_ID);
  return { ...rest, responses, parameters: [...shared, ...(rest.parameters ?? [])] };
};

const difference = (one, other) => {
  const members = new Set([...Object.keys(one), ...Object.keys(other)]);
  return [...members].filter((name) => JSON.stringify(sorted(one[name])) !== JSON.stringify(sorted(other[name])));
};

const methods = (item) => Object.keys(item ?? {}).filter((name) => name !== 'parameters');

export default (paths) => {
  const results = [];
  const pairs = Object.keys(paths)
    .filter((path) => path.startsWith('/api/{user_id}'))
    .map((path) => [path, tokenAddress(path)]);
  const paired = new Set(pairs.map(([, address]) => address));
  for (const path of Object.keys(paths).filter((name) => FAMILY.test(name) && !paired.has(name))) {
    results.push({ message: `${path} has no counterpart with a user_id.`, path: ['paths', path] });
  }
  for (const [path, address] of pairs) {
    for (const method of new Set([...methods(paths[path]), ...methods(paths[address])])) {
      const label = `${method.toUpperCase()} ${path} and ${address}`;
      if (!paths[path][method] || !paths[address]?.[method]) {
        results.push({ message: `${label}: one of them is missing.`, path: ['paths', path] });
        continue;
      }
      for (const name of difference(comparable(paths[path], method), comparable(paths[address], method))) {
        results.push({ message: `${label} differ in ${name}.`, path: ['paths', path, method] });
      }
    }
  }
  return results;
};
