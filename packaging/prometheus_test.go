// Package packaging has tests of what the packages ship besides the program.
package packaging

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Whatever the dashboard and the alerts ask for is published: docs/metrics.md lists all of it, which its own test sees to.
func TestMetricsExist(t *testing.T) {
	manual := read(t, "../docs/metrics.md")
	var published []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(fnctl_[a-z_]+)`.*?\\| ([a-z]+) \\|").FindAllStringSubmatch(manual, -1) {
		published = append(published, row[1])
		if row[2] == "histogram" {
			published = append(published, row[1]+"_bucket", row[1]+"_sum", row[1]+"_count")
		}
	}
	expressions := append(dashboardExpressions(t), alertExpressions(t)...)
	asked := 0
	for _, expression := range expressions {
		for _, name := range regexp.MustCompile(`\bfnctl_[a-z_]+`).FindAllString(expression, -1) {
			asked++
			if !slices.Contains(published, name) {
				t.Errorf("nobody publishes %s in %s", name, expression)
			}
		}
	}
	if asked < 30 {
		t.Errorf("found only %d metrics that are asked for: that proves nothing", asked)
	}
}

type dashboard struct {
	Panels []struct {
		Title   string
		Targets []struct{ Expr string }
	}
	Templating struct {
		List []struct{ Name, Type, Definition string }
	}
}

func dashboardExpressions(t *testing.T) []string {
	t.Helper()
	var d dashboard
	if err := json.Unmarshal([]byte(read(t, "grafana/fnctl.json")), &d); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, panel := range d.Panels {
		for _, target := range panel.Targets {
			all = append(all, target.Expr)
		}
		if len(panel.Targets) == 0 {
			t.Errorf("the panel %q shows nothing", panel.Title)
		}
	}
	return all
}

func alertExpressions(t *testing.T) []string {
	t.Helper()
	return strings.Split(read(t, "prometheus/alerts.yml"), "- alert:")
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
