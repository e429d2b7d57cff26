//go:build soak

package acme

const manyHosts = 200
