package cli

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/certificates"
	"github.com/fnctl/fnctl/platform"
)

func trustCommand() *cli.Command {
	return &cli.Command{
		Name:      "trust",
		Usage:     "print how to trust the certificates that this machine signs itself",
		UsageText: "trust [-o json]",
		Description: "Hosts that no public authority signs for, such as those below localhost, get certificates of the machine's own\n" +
			"authority. Whoever is to trust them takes its root. Nothing is changed: the commands are for you to run, where you want.",
		Flags:  []cli.Flag{outputFlag()},
		Action: trust,
	}
}

// root is the certificate of the machine's own authority.
type root struct {
	File        string    `json:"file"`
	Name        string    `json:"name"`
	NotAfter    time.Time `json:"not_after"`
	Fingerprint string    `json:"sha256"`
	// Commands are what trusts it, by system or program.
	Commands []trustCommands `json:"commands"`
}

// trustCommands have one system, or program, trust the root.
type trustCommands struct {
	Where    string   `json:"where"`
	Commands []string `json:"commands"`
}

func trust(c *cli.Context) error {
	r, err := readRoot(certificates.RootFile(paths()))
	if err != nil {
		return err
	}
	if wantsJSON(c) {
		return printJSON(c.App.Writer, r)
	}
	return printRoot(c.App.Writer, r)
}

func readRoot(file string) (root, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return root{}, platform.WithHint(fmt.Errorf("this machine has no authority of its own: there is no %s", file),
			"fnctl-acme.service makes it with the first certificate for a host such as NAME.localhost")
	}
	if err != nil {
		return root{}, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return root{}, fmt.Errorf("read %s: there is no certificate in it", file)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return root{}, fmt.Errorf("read %s: %w", file, err)
	}
	sum := sha256.Sum256(cert.Raw)
	return root{
		File: file, Name: cert.Subject.CommonName, NotAfter: cert.NotAfter, Fingerprint: strings.ToUpper(hex.EncodeToString(sum[:])), Commands: howToTrust(file),
	}, nil
}

// howToTrust lists the commands. Those of other machines begin with the copy of the file.
func howToTrust(file string) []trustCommands {
	return []trustCommands{
		{"Debian, Ubuntu", []string{"sudo install -m 0644 " + file + " /usr/local/share/ca-certificates/fnctl.crt", "sudo update-ca-certificates"}},
		{"Fedora, RHEL", []string{"sudo install -m 0644 " + file + " /etc/pki/ca-trust/source/anchors/fnctl.crt", "sudo update-ca-trust"}},
		{"macOS", []string{"sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain root.crt"}},
		{"Windows, as administrator", []string{"certutil -addstore -f Root root.crt"}},
		{"Firefox and Chromium on Linux", []string{
			`for db in ~/.mozilla/firefox/*.default* ~/.pki/nssdb; do certutil -A -d sql:"$db" -t C,, -n fnctl -i ` + file + "; done",
		}},
		{"curl", []string{"curl --cacert " + file + " https://NAME.localhost"}},
		{"Node.js", []string{"export NODE_EXTRA_CA_CERTS=" + file}},
	}
}

func printRoot(w io.Writer, r root) error {
	var b strings.Builder
	fmt.Fprintf(&b, "root:    %s\nname:    %s\nuntil:   %s\nSHA-256: %s\n", r.File, r.Name, r.NotAfter.Format(time.DateOnly), r.Fingerprint)
	b.WriteString("\nOn another machine, copy it there first and compare its SHA-256. Whoever has the key of the authority, which is root on this\nmachine, is believed to be any host.\n")
	for _, t := range r.Commands {
		fmt.Fprintf(&b, "\n%s:\n", t.Where)
		for _, command := range t.Commands {
			fmt.Fprintf(&b, "  %s\n", command)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
