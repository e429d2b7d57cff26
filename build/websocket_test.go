package build

import "testing"

func TestFindWebSocketRoute(t *testing.T) {
	for source, want := range map[string]bool{
		"@app.websocket(\"/ws\")\nasync def ws(s): ...\n":           true,
		"    @api.v1.websocket_route('/ws')\n":                      true,
		"routes = [WebSocketRoute('/ws', ws)]\n":                    true,
		"app.add_websocket_route('/ws', ws)\n":                      true,
		"router.add_api_websocket_route('/ws', ws)\n":               true,
		"from fastapi import FastAPI, WebSocket\napp = FastAPI()\n": false,
		"# @app.websocket(\n":                                       false,
		"await websocket.accept()\n":                                false,
	} {
		dir := appFiles(t, "main.py", "import api\n", "api/routes.py", source, "node_modules/x.py", "@app.websocket()", ".venv/x.py", "@app.websocket()", "x.txt", "@app.websocket()")
		if got := findSource(dir, webSocketRoute); (got == "api/routes.py") != want {
			t.Errorf("%q: found in %q", source, got)
		}
	}
}
