// Package admission decides who may come in to a function, before anything of the function is woken, counted or queued. It looks at the
// head of a request and says what is answered in the function's place, or what of the head the app gets. It knows neither connections nor
// gateways.
//
//	Guard    what all functions share: how many passwords are checked at once, and which addresses have guessed wrong
//	Policy   the rules of one function, compiled; replaced when these change, but for the tokens
//	Request  what is looked at
//	Entry    what becomes of a request that comes in; Denial is the answer to one that does not
package admission
