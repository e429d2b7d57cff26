package platform

import "path/filepath"

// Secrets says what secrets a revision has, and how they are kept. It has no value.
type Secrets struct {
	// Names are sorted.
	Names []string `json:"names"`
	// Encrypted ones are readable on this machine only, and by root only. Others are plain text, which only root may read.
	Encrypted bool `json:"encrypted"`
}

// SecretsScript is the credential that holds all secrets as assignments of a shell. No variable has this name.
const SecretsScript = "secrets.sh"

// Credentials is the directory with a file for each secret of a revision, and one for SecretsScript.
func (p Paths) Credentials(id RevisionID) string {
	return filepath.Join(p.Revision(id), CredentialsDir)
}

// Credential is the file of one credential of a revision.
func (p Paths) Credential(id RevisionID, name string) string {
	return filepath.Join(p.Credentials(id), name)
}
