const http = require('http')

const server = http.createServer((request, response) => {
  response.setHeader('Content-Type', 'application/json')
  response.end(JSON.stringify({ message: 'Hello from Node!', pid: process.pid }))
})

server.listen({ fd: 3 })
process.on('SIGTERM', () => server.close())
