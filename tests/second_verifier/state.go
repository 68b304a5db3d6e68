package main

import (
	"bytes"
	"encoding/binary"
)

// A signed state (checklist state) and a header under a trust store (checklist skip); proofs.md.

type appState struct {
	treeRoot []byte
	logSize  uint64
	logRoot  []byte
}

func (s appState) hash() []byte {
	size := binary.BigEndian.AppendUint64(nil, s.logSize)
	return tagged("salus/app-hash/1", s.treeRoot, size, s.logRoot)
}

func (s appState) equals(other appState) bool {
	return s.logSize == other.logSize && bytes.Equal(s.treeRoot, other.treeRoot) && bytes.Equal(s.logRoot, other.logRoot)
}

type signedState struct {
	state      appState
	header     []byte
	validators []validator
}

// verifiedState is a state whose header the trusted validators signed.
type verifiedState struct {
	appState
	chain  string
	height int64
	time   timestamp
}

func parseSignedState(item value) signedState {
	fields := inBundle.fields(item, 3)
	state := inBundle.fields(fields[0], 3)
	parsed := signedState{
		state:  appState{inBundle.sized(state[0], 32), inBundle.number(state[1], countLimit), inBundle.sized(state[2], 32)},
		header: inBundle.bytes(fields[1]),
	}
	for _, each := range inBundle.list(fields[2]) {
		pair := inBundle.fields(each, 2)
		power, ok := pair[1].(integer)
		inBundle.need(ok)
		parsed.validators = append(parsed.validators, validator{inBundle.bytes(pair[0]), power})
	}
	return parsed
}

func checkState(trusted trust, signed signedState, nowS int64) verifiedState {
	if !trusted.isStore {
		need("state", 1, nowS < trusted.root.TrustedAtS+trusted.root.TrustingPeriodS)
	}
	shown, ok := parseSignedHeader(signed.header)
	need("state", 2, ok)
	if trusted.isStore {
		checkSkip(trusted, shown, signed.validators, nowS)
	} else {
		need("state", 3, sameSet(signed.validators, trusted.set))
		isSigned := shown.fits(trusted.root.Chain, trusted.set) && shown.commitHolds(trusted.root.Chain, trusted.set)
		need("state", 4, isSigned)
		need("state", 5, shown.header.time.before(timestamp{seconds: nowS + 10}))
	}
	need("state", 6, bytes.Equal(shown.header.hashes[appHashField], signed.state.hash()))
	return verifiedState{signed.state, trusted.root.Chain, shown.header.height, shown.header.time}
}

func checkSkip(trusted trust, shown signedHeader, set []validator, nowS int64) {
	known, asked := trusted.header.header, shown.header
	now := timestamp{seconds: nowS}
	need("skip", 1, now.before(known.time.plus(trusted.root.TrustingPeriodS)))
	if asked.height == known.height {
		need("skip", 2, bytes.Equal(asked.hash(), known.hash()))
	}
	if asked.height > known.height {
		need("skip", 3, known.time.before(asked.time))
	} else if asked.height < known.height {
		need("skip", 3, asked.time.before(known.time))
	}
	need("skip", 4, asked.time.before(now.plus(10)))
	if asked.height == known.height+1 {
		need("skip", 5, bytes.Equal(asked.hashes[validatorsHash], known.hashes[nextValidatorsHash]))
	} else if asked.height <= known.height {
		need("skip", 5, bytes.Equal(asked.hashes[validatorsHash], known.hashes[validatorsHash]))
	}
	need("skip", 6, shown.fits(trusted.root.Chain, set))
	if asked.height > known.height+1 {
		need("skip", 7, moreThan(shown.trustedVotes(trusted.set, set), totalPower(trusted.set), 1, 3))
	}
	need("skip", 8, shown.commitHolds(trusted.root.Chain, set))
}

func sameSet(one, other []validator) bool {
	if len(one) != len(other) {
		return false
	}
	for place := range one {
		if !bytes.Equal(one[place].key, other[place].key) || one[place].power != other[place].power {
			return false
		}
	}
	return true
}
