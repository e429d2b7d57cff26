package snapshot

import "context"

// DeployedNames lists what a snapshot of a directory would have, but directories.
func DeployedNames(ctx context.Context, dir string) (names []string, err error) {
	t, err := readTree(ctx, dir, withoutIgnored)
	if err != nil {
		return nil, err
	}
	defer t.close()
	for _, n := range t.nodes {
		if !n.info.IsDir() {
			names = append(names, n.name)
		}
	}
	return names, nil
}

// Ignored reports whether rules leave out a file.
func Ignored(rules, name string) bool {
	return ignoreRules{}.with(0, parseIgnore(".fnctlignore", []byte(rules))).find(name, false) != nil
}
