package build

import (
	"fmt"
	"regexp"

	"github.com/fnctl/fnctl/platform"
)

// formerPackages deployed to Jina AI Cloud. Apps needed nothing of them, but for langchain-serve's.
var formerPackages = []string{"fastapi-serve", "langchain-serve", "jcloud"}

var (
	// formerImport is a module whose decorators make endpoints in its own server only.
	formerImport = regexp.MustCompile(`(?m)^\s*(?:from|import)\s+(lcserve)\b`)
	// formerPath is where Jina AI Cloud had the files of an app.
	formerPath = regexp.MustCompile(`["']/appdir\b`)
)

// checkFormer returns what of an app was made for Jina AI Cloud and has no meaning here.
func checkFormer(dir string, required Requirements) (problems []error) {
	if name := required.names(formerPackages...); name != "" {
		problems = append(problems, platform.WithHint(fmt.Errorf("%s names %s, which deployed to Jina AI Cloud", RequirementsFile, name),
			"leave it out: an app needs nothing of it here"))
	}
	if file := findSource(dir, formerImport); file != "" {
		problems = append(problems, platform.WithHint(fmt.Errorf("%s imports lcserve: its decorators make endpoints in the server of langchain-serve only", file),
			"write them as routes, such as FastAPI's @app.post"))
	}
	if file := findSource(dir, formerPath); file != "" {
		problems = append(problems, platform.WithHint(fmt.Errorf("%s has the path /appdir of Jina AI Cloud, which is not there", file),
			"the app's files are in its working directory; what is to last, in the one that JCLOUD_WORKSPACE names"))
	}
	return problems
}
