//go:build e2e

package e2e

import "testing"

// testUsual: what usual apps do works in every sandbox.
func testUsual(t *testing.T, m *testMachine) {
	m.CopyIn(t, function("usual"), "/srv/usual")
	for _, profile := range []string{"default", "strict"} {
		name := "usual-" + profile
		m.WriteFile(t, "/srv/usual/jcloud.yml", "isolation: "+profile+"\nautoscale: {min: 0, metric: rps}\n")
		m.MustRunIn(t, "/srv/usual", "fnctl", "deploy", "main:app", "--name", name)
		for need, result := range attemptsOf(t, m.mustGet(t, "http://"+name+".localhost:8080/").body) {
			// What tells the names of users is in /run, with those of all functions that run.
			if unknown := profile == "strict" && need == "own_name"; unknown && result == "done" || !unknown && result != "done" {
				t.Errorf("%s: %s: %s", profile, need, result)
			}
		}
	}
}

// testServers: the servers of other languages, and of many processes, start in every sandbox.
func testServers(t *testing.T, m *testMachine) {
	m.WriteFile(t, "/srv/servers/wsgi.py", "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'ok']\n")
	m.WriteFile(t, "/srv/servers/main.py", "async def app(scope, receive, send):\n    if scope['type'] == 'http':\n"+
		"        await send({'type': 'http.response.start', 'status': 200, 'headers': []})\n"+
		"        await send({'type': 'http.response.body', 'body': b'ok'})\n")
	m.WriteFile(t, "/srv/servers/server.js", "require('http').createServer((_, res) => res.end('ok')).listen({fd: 3})\n")
	for name, config := range map[string]string{
		"gunicorn":    "command: [/usr/bin/gunicorn, --workers, '2', 'wsgi:app']\n",
		"uvicorn":     "app: main:app\nworkers: 2\n",
		"hypercorn":   "command: [/usr/bin/hypercorn, --workers, '2', --bind, 'fd://3', 'main:app']\n",
		"node":        "command: [/usr/bin/node, server.js]\n",
		"strict-g":    "isolation: strict\ncommand: [/usr/bin/gunicorn, --workers, '2', 'wsgi:app']\n",
		"strict-u":    "isolation: strict\napp: main:app\nworkers: 2\n",
		"strict-node": "isolation: strict\nexecutable_memory: true\ncommand: [/usr/bin/node, server.js]\n",
	} {
		m.WriteFile(t, "/srv/servers/jcloud.yml", config+"autoscale: {min: 0, metric: rps}\n")
		m.MustRunIn(t, "/srv/servers", "fnctl", "deploy", "--name", name)
		m.mustGet(t, "http://"+name+".localhost:8080/")
	}
}
