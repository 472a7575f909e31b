// Prism puts each violation into the header field sl-violations, also a pattern or a member's name that no field can carry,
// which ends its process (https://github.com/stoplightio/prism/issues/1934). The value is JSON, which can be written in ASCII.
const { ServerResponse } = require("node:http");

const { setHeader } = ServerResponse.prototype;
const escaped = (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;

ServerResponse.prototype.setHeader = function (name, value) {
  const content = name === "sl-violations" ? value.replace(/[^ -~]/g, escaped) : value;
  return setHeader.call(this, name, content);
};
