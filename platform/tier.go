package platform

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/fnctl/fnctl/platform/keys"
)

// Tier is the size of an instance: what one instance may use, and what it costs. In JSON and in text it is its name.
type Tier struct {
	Name string
	// Cores is the processor time that an instance may use, in cores. The GPU tiers have the 2 GB per core of the others.
	Cores float64
	// MemoryGB is the memory that an instance may use, in GB of 10⁹ bytes.
	MemoryGB float64
	// GPU is "" for none, "shared", or a number of GPUs.
	GPU            string
	CreditsPerHour float64
}

// gigabyte is the unit of memory and disks, in bytes.
const gigabyte = 1e9

// tiers are the tiers of Jina AI Cloud, with their prices.
var tiers = []Tier{
	{Name: "C1", Cores: 0.1, MemoryGB: 0.2, CreditsPerHour: 1},
	{Name: "C2", Cores: 0.5, MemoryGB: 1, CreditsPerHour: 5},
	{Name: "C3", Cores: 1, MemoryGB: 2, CreditsPerHour: 10},
	{Name: "C4", Cores: 2, MemoryGB: 4, CreditsPerHour: 20},
	{Name: "C5", Cores: 4, MemoryGB: 8, CreditsPerHour: 40},
	{Name: "C6", Cores: 8, MemoryGB: 16, CreditsPerHour: 80},
	{Name: "C7", Cores: 16, MemoryGB: 32, CreditsPerHour: 160},
	{Name: "C8", Cores: 32, MemoryGB: 64, CreditsPerHour: 320},
	{Name: "G1", Cores: 7, MemoryGB: 14, GPU: "shared", CreditsPerHour: 100},
	{Name: "G2", Cores: 7, MemoryGB: 14, GPU: "1", CreditsPerHour: 125},
	{Name: "G3", Cores: 12, MemoryGB: 24, GPU: "2", CreditsPerHour: 250},
	{Name: "G4", Cores: 28, MemoryGB: 56, GPU: "4", CreditsPerHour: 500},
}

// Tiers returns all tiers, the small ones first.
func Tiers() []Tier { return slices.Clone(tiers) }

// TierByName finds a tier by its name, such as C3.
func TierByName(name string) (Tier, bool) {
	i := slices.IndexFunc(tiers, func(t Tier) bool { return t.Name == name })
	if i < 0 {
		return Tier{}, false
	}
	return tiers[i], true
}

// tierNames is the kind of tiers.
var tierNames = keys.Enum[Tier]{Words: namesOf(tiers), Parse: func(name string) Tier {
	tier, _ := TierByName(name)
	return tier
}}

func namesOf(tiers []Tier) []string {
	names := make([]string, len(tiers))
	for i, tier := range tiers {
		names[i] = tier.Name
	}
	return names
}

// CPUQuotaPercent is the tier's processor time as systemd's CPUQuota= counts it: 100 is one core.
func (t Tier) CPUQuotaPercent() int { return int(math.Round(t.Cores * 100)) }

// MemoryBytes is the tier's memory in bytes.
func (t Tier) MemoryBytes() int64 { return int64(math.Round(t.MemoryGB * gigabyte)) }

// MarshalText writes the tier's name.
func (t Tier) MarshalText() ([]byte, error) { return []byte(t.Name), nil }

// UnmarshalText finds the tier by its name. No name is no tier.
func (t *Tier) UnmarshalText(text []byte) error {
	tier, found := TierByName(string(text))
	if !found && len(text) > 0 {
		return fmt.Errorf("unknown tier %q, use one of %s", Clip(string(text)), strings.Join(tierNames.Words, ", "))
	}
	*t = tier
	return nil
}
