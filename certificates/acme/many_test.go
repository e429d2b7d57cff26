//go:build !soak

package acme

// manyHosts are so many that they cannot all be asked for at once.
const manyHosts = 30
