package shim

// DieBy ends the process by a signal, whatever Go would make of it.
var DieBy = dieBy
