package units

import "github.com/fnctl/fnctl/platform"

// writeCredentials has systemd hand over the secrets, each as a file in $CREDENTIALS_DIRECTORY.
func writeCredentials(w *writer, paths platform.Paths, rev platform.Revision) {
	if rev.Secrets == nil {
		return
	}
	directive := "LoadCredential"
	if rev.Secrets.Encrypted {
		directive = "LoadCredentialEncrypted"
	}
	w.comment("Secrets, as files in memory that only the user of the function can read: $CREDENTIALS_DIRECTORY.")
	for _, name := range append([]string{platform.SecretsScript}, rev.Secrets.Names...) {
		w.set(directive, name+":"+paths.Credential(rev.ID, name))
	}
}

// withSecrets has a shell make variables of the secrets and become the app: EnvironmentFile= is read before credentials
// are there. Nothing of it has a value in its arguments.
func withSecrets(rev platform.Revision, command string) string {
	if rev.Secrets == nil {
		return command
	}
	return `/bin/sh -c ` + quoteArg(loadSecrets) + ` sh ` + command
}

const loadSecrets = `. "$CREDENTIALS_DIRECTORY/` + platform.SecretsScript + `" && exec "$@"`
