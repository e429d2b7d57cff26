// Package auth has the files by which a function knows who may come in: the users of a revision, and the tokens of the function.
package auth
