package platform

import (
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/fnctl/fnctl/platform/keys"
)

// LetsEncrypt is the directory of the authority that is asked by default.
const LetsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

// ACMESettings are about the authorities that certificates are from.
type ACMESettings struct {
	// Email is where an authority writes; it may be empty.
	Email string
	// Directories are the addresses of the authorities, in the order in which they are asked.
	Directories []string
	// RootCA is a file of PEM that the authorities' own servers are checked by, besides the system's; it may be empty.
	RootCA string
	// DNS is how records of the DNS are made.
	DNS ACMEDNSSettings
}

// ACMEDNSSettings are how records of the DNS are made that show whose a name is.
type ACMEDNSSettings struct {
	// Hook is a program that makes and removes one; empty: there is none.
	Hook string
}

// directories is the kind of addresses of authorities.
var directories = keys.List[string]{Of: keys.Text[string]{
	Parse: keys.Checked(checkDirectory), What: "the address of an ACME directory, such as " + LetsEncrypt,
}}

func checkDirectory(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Scheme != "https" || u.Hostname() == "":
		return fmt.Errorf("must be the address of an ACME directory, such as %s, got %s", LetsEncrypt, keys.Quote(address))
	case u.User != nil:
		return errors.New("must have no user and password: everybody may read this file")
	}
	return nil
}

// emails is the kind of Email.
var emails = keys.Text[string]{Parse: keys.Checked(CheckEmail), What: "an address such as admin@example.com"}

// CheckEmail returns why authorities cannot be told to write to an address, nil if they can. It may be empty: they need not write.
func CheckEmail(address string) error {
	if address == "" {
		return nil
	}
	_, host, _ := strings.Cut(address, "@")
	if parsed, err := mail.ParseAddress(address); err != nil || parsed.Address != address || CheckHost(strings.ToLower(host)) != nil {
		return fmt.Errorf("must be an address such as admin@example.com, got %s", keys.Quote(address))
	}
	return nil
}

// files is the kind of files that a daemon reads or runs.
var files = keys.Text[string]{Parse: keys.Checked(checkFile), What: "the absolute path of a file"}

func checkFile(path string) error {
	if path != "" && (!filepath.IsAbs(path) || filepath.Clean(path) != path) {
		return fmt.Errorf("must be the absolute path of a file, got %s", keys.Quote(path))
	}
	return nil
}
