const http = require('http')

let count = 0
const server = http.createServer((request, response) => response.end(JSON.stringify({ pid: process.pid, count: ++count })))

// Behind the shim it has a port, and else the socket that systemd has made.
server.listen(process.env.PORT ? { port: process.env.PORT, host: '127.0.0.1' } : { fd: 3 })
process.on('SIGTERM', () => server.close())
