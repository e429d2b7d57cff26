const http = require('http')

// Beside its greeting, it ends in the way that it is asked to: /exit?7, /kill?SIGSEGV.
const server = http.createServer((request, response) => {
  const [path, how] = request.url.split('?')
  if (path === '/exit') return process.exit(Number(how))
  if (path === '/kill') return process.kill(process.pid, how)
  response.setHeader('Content-Type', 'application/json')
  response.end(JSON.stringify({ message: 'Hello from a port!', port: process.env.PORT, pid: process.pid }))
})

server.listen(process.env.PORT, '127.0.0.1')

process.on('SIGTERM', () => {
  console.log('SIGTERM: closing')
  server.close()
})
