package certificates

// Decode reads a file.
func Decode(data []byte) (*Pair, error) { return decode(data) }

// HostOf returns the host whose file has a name.
func HostOf(file string) (string, bool) { return hostOf(file) }

// Path is the file of a host.
func (s Store) Path(host string) (string, error) { return s.path(host) }

// TokenPath is the file of a token.
func (c Challenges) TokenPath(token string) (string, bool) { return c.http(token) }
