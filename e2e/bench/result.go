//go:build e2e

package main

import (
	"fmt"
	"slices"
)

// result is one line of the answer: what fnctl needs for something, and what its peer needs.
type result struct {
	Benchmark string  `json:"benchmark"`
	Measure   string  `json:"measure"`
	Unit      string  `json:"unit"`
	Ours      spread  `json:"ours"`
	Peer      *spread `json:"peer,omitempty"`
	PeerName  string  `json:"peer_name,omitempty"`
	Ratio     float64 `json:"ratio,omitempty"` // ours to the peer's, of the medians
	Others    []other `json:"others,omitempty"`
	Target    string  `json:"target,omitempty"`
	OK        *bool   `json:"ok,omitempty"` // nothing where there is no target
}

// other is one more peer.
type other struct {
	Name   string  `json:"name"`
	Spread spread  `json:"spread"`
	Ratio  float64 `json:"ratio"` // ours to its, of the medians
}

// spread is the median and the extremes of several rounds.
type spread struct {
	Median float64   `json:"median"`
	Min    float64   `json:"min"`
	Max    float64   `json:"max"`
	Rounds []float64 `json:"rounds"`
}

// spreadOf sums up rounds, in a unit of which each second, say, has factor.
func spreadOf(rounds []float64, factor float64) spread {
	scaled := make([]float64, len(rounds))
	for i, v := range rounds {
		scaled[i] = v * factor
	}
	sorted := slices.Sorted(slices.Values(scaled))
	n := len(sorted)
	return spread{Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Min: sorted[0], Max: sorted[n-1], Rounds: scaled}
}

func single(v float64) spread { return spreadOf([]float64{v}, 1) }

// against compares with a peer.
func (r result) against(name string, peer spread) result {
	r.PeerName, r.Peer = name, &peer
	if peer.Median > 0 {
		r.Ratio = r.Ours.Median / peer.Median
	}
	return r
}

// besides compares with one more peer; targets are about the first.
func (r result) besides(name string, peer spread) result {
	if r.Peer == nil {
		return r.against(name, peer)
	}
	r.Others = append(r.Others, other{name, peer, r.Ours.Median / peer.Median})
	return r
}

// peerNamed is what one of the peers needs.
func (r result) peerNamed(name string) spread {
	for _, o := range r.Others {
		if o.Name == name {
			return o.Spread
		}
	}
	return *r.Peer
}

// aiming says what should be reached and whether it was.
func (r result) aiming(ok bool, format string, args ...any) result {
	r.Target, r.OK = fmt.Sprintf(format, args...), &ok
	return r
}
