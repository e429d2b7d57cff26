package admission

import "strings"

// openPaths are the paths for everybody.
type openPaths struct {
	exact map[string]bool
	below []string // each with a slash at its end
}

func newOpenPaths(paths []string) openPaths {
	open := openPaths{exact: make(map[string]bool)}
	for _, path := range paths {
		if prefix, is := strings.CutSuffix(path, "*"); is {
			open.below = append(open.below, prefix)
		} else {
			open.exact[path] = true
		}
	}
	return open
}

// has reports whether a path is open. One that the app, or a library before it, may read as another path never is: what has escapes, empty
// elements, elements of dots, parameters or backslashes.
func (o openPaths) has(path string) bool {
	if len(o.exact) == 0 && len(o.below) == 0 || !isSimple(path) {
		return false
	}
	if o.exact[path] {
		return true
	}
	for _, prefix := range o.below {
		if len(path) > len(prefix) && strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

// isSimple reports whether there is but one way to read a path.
func isSimple(path string) bool {
	if path == "" || path[0] != '/' {
		return false
	}
	start := 1 // of the element
	for i := 1; i <= len(path); i++ {
		if i < len(path) && path[i] != '/' {
			if !simple[path[i]] {
				return false
			}
			continue
		}
		element := path[start:i]
		if element == "." || element == ".." || element == "" && i < len(path) {
			return false
		}
		start = i + 1
	}
	return true
}

// simple are the characters that mean themselves in a path: the unreserved ones of RFC 3986, and those of the others that no server makes
// something else of.
var simple = simpleCharacters()

func simpleCharacters() (all [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,=:@") {
		all[c] = true
	}
	return all
}
