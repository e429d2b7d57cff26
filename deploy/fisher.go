package deploy

import "math"

// failsMore reports whether requests to the newer revision fail more often than those to the older ones, and chance would
// show such a difference, or a larger one, with less than the given probability if there were none.
func failsMore(newer, older outcomes, risk float64) bool {
	if newer.failed*older.requests <= older.failed*newer.requests {
		return false
	}
	return fisher(newer, older) < risk
}

// fisher is the one-sided p-value of Fisher's exact test (R. A. Fisher, Statistical Methods for Research Workers, § 21.02):
// given how many requests there were and how many of all failed, the probability that at least so many of the failures
// fall on the newer revision. It needs no minimum of requests. The rate of the newer must be above that of the older, so
// that the terms of the sum decrease:
//
//	p = Σ C(n₁, x) C(n₂, k−x) / C(n₁+n₂, k), x from the newer's failures to min(k, n₁)
//
// with n₁ and n₂ requests to the newer and the older, and k failures.
func fisher(newer, older outcomes) float64 {
	n1, n2, k := newer.requests, older.requests, newer.failed+older.failed
	x := newer.failed
	term := math.Exp(logChoose(n1, x) + logChoose(n2, k-x) - logChoose(n1+n2, k))
	p := term
	for ; x < min(k, n1) && term > p*1e-12; x++ {
		term *= (n1 - x) * (k - x) / ((x + 1) * (n2 - k + x + 1))
		p += term
	}
	return p
}

// logChoose is the logarithm of the number of ways to choose k of n.
func logChoose(n, k float64) float64 {
	all, _ := math.Lgamma(n + 1)
	chosen, _ := math.Lgamma(k + 1)
	others, _ := math.Lgamma(n - k + 1)
	return all - chosen - others
}
