package platform

// Secrets has the names of the secrets of a revision, and how they are kept. It has no values.
type Secrets struct {
	// Names are sorted.
	Names []string `json:"names"`
	// Encrypted ones are readable on this machine only, and by root only. Others are plain text, which only root may read.
	Encrypted bool `json:"encrypted"`
}

// SecretsScript is the credential that holds all secrets as assignments of a shell. No variable has this name.
const SecretsScript = "secrets.sh"
