package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"sort"
	"unicode/utf8"
)

// Trust root and trust store (proofs.md).

type namedValidator struct {
	Organisation string `json:"organisation"`
	PublicKey    []byte `json:"public_key"`
	Power        uint64 `json:"power"`
}

type trustRoot struct {
	Format          uint64           `json:"format"`
	Chain           string           `json:"chain"`
	GenesisHash     []byte           `json:"genesis_hash"`
	Engine          string           `json:"engine"`
	Validators      []namedValidator `json:"validators"`
	TrustedAtS      int64            `json:"trusted_at_s"`
	TrustingPeriodS int64            `json:"trusting_period_s"`
}

type lightBlock struct {
	header     []byte
	validators []validator
}

type conflict struct {
	Height    uint64     `json:"height"`
	Followed  lightBlock `json:"followed"`
	Witnessed lightBlock `json:"witnessed"`
	Refusal   string     `json:"refusal"`
}

type trustStore struct {
	Format      uint64     `json:"format"`
	Root        trustRoot  `json:"root"`
	Newest      lightBlock `json:"newest"`
	FollowedAtS int64      `json:"followed_at_s"`
	Source      string     `json:"source"`
	Witness     string     `json:"witness"`
	Conflicts   []conflict `json:"conflicts"`
}

// trust is a root, or a root with the store that grew from it.
type trust struct {
	root    trustRoot
	isStore bool
	header  signedHeader // of a store: the trusted one
	set     []validator  // of a store: the trusted header's, else the root's, in the order of a set
}

func parseTrust(data []byte) trust {
	var stated struct {
		Format uint64 `json:"format"`
	}
	needTrust(len(data) <= 16<<20 && json.Unmarshal(data, &stated) == nil)
	if stated.Format != 2 {
		needTrust(len(data) <= 1<<20)
		var root trustRoot
		parseExactly(data, &root)
		root.check()
		return trust{root: root, set: root.set()}
	}
	var store trustStore
	parseExactly(data, &store)
	store.Root.check()
	trusted, ok := parseSignedHeader(store.Newest.header)
	set := store.Newest.validators
	needTrust(ok && isSet(set) && trusted.header.chain == store.Root.Chain)
	needTrust(bytes.Equal(trusted.header.hashes[validatorsHash], setHash(set)))
	needTrust(isSeconds(store.FollowedAtS) && len(store.Conflicts) <= 16)
	for _, each := range store.Conflicts {
		_, isFollowed := parseSignedHeader(each.Followed.header)
		_, isWitnessed := parseSignedHeader(each.Witnessed.header)
		needTrust(each.Height >= 1 && isFollowed && (isWitnessed || each.Refusal != ""))
	}
	return trust{store.Root, true, trusted, set}
}

func needTrust(holds bool) { need("trust", 0, holds) }

// parseExactly accepts a file that is, without white space between its tokens, what its content is written as.
func parseExactly(data []byte, into any) {
	needTrust(utf8.Valid(data) && json.Unmarshal(data, into) == nil)
	var compact, written bytes.Buffer
	needTrust(json.Compact(&compact, data) == nil)
	encoder := json.NewEncoder(&written)
	encoder.SetEscapeHTML(false)
	needTrust(encoder.Encode(into) == nil)
	needTrust(bytes.Equal(compact.Bytes(), bytes.TrimSuffix(written.Bytes(), []byte("\n"))))
}

var odsCode = regexp.MustCompile(`^[A-Z0-9]{2,12}$`)

func (r trustRoot) check() {
	chainSize := utf8.RuneCountInString(r.Chain)
	needTrust(r.Format == 1 && chainSize >= 1 && chainSize <= 50 && len(r.GenesisHash) == 32)
	needTrust(r.Engine == "cometbft" || (r.Engine == "embedded" && len(r.Validators) == 1))
	needTrust(isSeconds(r.TrustedAtS) && isSeconds(r.TrustingPeriodS) && r.TrustingPeriodS >= 1)
	for _, each := range r.Validators {
		needTrust(odsCode.MatchString(each.Organisation))
	}
	needTrust(isSet(r.set()))
}

func isSeconds(number int64) bool { return number >= 0 && number < secondsLimit }

// set is the root's validators in the order of a set: most power first, then by address.
func (r trustRoot) set() []validator {
	set := make([]validator, len(r.Validators))
	for place, each := range r.Validators {
		set[place] = validator{each.PublicKey, integer{false, each.Power}}
	}
	sort.SliceStable(set, func(one, other int) bool {
		if set[one].power.value != set[other].power.value {
			return set[one].power.value > set[other].power.value
		}
		return bytes.Compare(set[one].address(), set[other].address()) < 0
	})
	return set
}

// UnmarshalJSON reads [header, [[key, power], ...]].
func (b *lightBlock) UnmarshalJSON(data []byte) error {
	var parts []json.RawMessage
	if err := json.Unmarshal(data, &parts); err != nil || len(parts) != 2 {
		return fmt.Errorf("expected a light block of two parts: %w", err)
	}
	var pairs [][]json.RawMessage
	if err := json.Unmarshal(parts[0], &b.header); err != nil {
		return err
	}
	if err := json.Unmarshal(parts[1], &pairs); err != nil {
		return err
	}
	b.validators = make([]validator, len(pairs))
	for place, pair := range pairs {
		if len(pair) != 2 {
			return fmt.Errorf("expected a key and a power, came %d parts", len(pair))
		}
		if err := json.Unmarshal(pair[0], &b.validators[place].key); err != nil {
			return err
		}
		if err := json.Unmarshal(pair[1], &b.validators[place].power.value); err != nil {
			return err
		}
	}
	return nil
}

// MarshalJSON writes what UnmarshalJSON reads.
func (b lightBlock) MarshalJSON() ([]byte, error) {
	pairs := make([][2]any, len(b.validators))
	for place, each := range b.validators {
		pairs[place] = [2]any{each.key, each.power.value}
	}
	return json.Marshal([2]any{nonNil(b.header), pairs})
}

func nonNil(data []byte) []byte {
	if data == nil {
		return []byte{}
	}
	return data
}
