package gateway

import "strings"

// parseHost reads the Host of a request as a key of the routing table: in lower case, without port and trailing dot.
// It reports false for what is not a host at all, so that nothing strange reaches a map, a log or an error message.
func parseHost(s string) (host string, ok bool) {
	host, port := splitPort(s)
	if strings.Trim(port, "0123456789") != "" || len(port) > 5 {
		return "", false
	}
	host = strings.TrimSuffix(host, ".")
	if literal, found := strings.CutPrefix(host, "["); found {
		return strings.ToLower(host), isIPv6Literal(literal)
	}
	return strings.ToLower(host), isName(host)
}

func splitPort(s string) (host, port string) {
	colon := strings.LastIndexByte(s, ':')
	if colon < 0 || colon < strings.LastIndexByte(s, ']') {
		return s, ""
	}
	return s[:colon], s[colon+1:]
}

func isIPv6Literal(s string) bool {
	s, found := strings.CutSuffix(s, "]")
	return found && s != "" && len(s) <= 45 && strings.Trim(s, "0123456789abcdefABCDEF:.") == ""
}

func isName(s string) bool {
	if s == "" || len(s) > 253 || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isAlphanumeric(c) && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
