package accesslog

// GatewayMatches are journalctl's matches for what the gateway says of a function, or of all, and of a request, or of all.
// Apps may write any field, but not _SYSTEMD_UNIT.
func GatewayMatches(function, id string) []string {
	matches := []string{"_SYSTEMD_UNIT=fnctl-gateway.service"}
	if function != "" {
		matches = append(matches, "FNCTL_FUNCTION="+function)
	}
	if id != "" {
		matches = append(matches, "FNCTL_REQUEST_ID="+id)
	}
	return matches
}

// Matches are those for the access log.
func Matches(function, id string) []string {
	return append(GatewayMatches(function, id), "SYSLOG_IDENTIFIER="+Identifier)
}
