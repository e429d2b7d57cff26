// Package platform has the nouns of fnctl: Function, Revision, Instance, Route, the configuration of a function
// (jcloud.yml), the instance tiers, the names and paths of everything, and the store on disk that holds them.
//
// It speaks neither HTTP nor D-Bus: the gateway reads it, the activator reads it, and the CLI writes it.
package platform
