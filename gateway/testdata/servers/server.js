// Answers with the number of requests that it has seen.
const http = require("http");
let seen = 0;
const server = http.createServer((req, res) => { seen++; req.resume(); req.on("end", () => res.end(String(seen))); });
server.listen({ fd: 3 });
