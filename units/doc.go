// Package units turns a revision into the text of its systemd units. It is pure: the same revision gives the same bytes,
// and nothing is read or written.
package units
