package main

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// Header, commit and validator set (header.md).

const (
	flagAbsent = 1
	flagCommit = 2
	flagNil    = 3

	secondsMin = -62135596800
	secondsMax = 253402300799
	powerMax   = (1<<63 - 1) / 8
	countMax   = 10000
)

type timestamp struct{ seconds, nanoseconds int64 }

var noTime = timestamp{seconds: secondsMin}

func (t timestamp) before(other timestamp) bool {
	if t.seconds != other.seconds {
		return t.seconds < other.seconds
	}
	return t.nanoseconds < other.nanoseconds
}

func (t timestamp) plus(seconds int64) timestamp {
	return timestamp{t.seconds + seconds, t.nanoseconds}
}

type blockID struct {
	hash      []byte
	total     int64
	partsHash []byte
}

type header struct {
	blockVersion, appVersion int64
	chain                    string
	height                   int64
	time                     timestamp
	last                     blockID
	hashes                   [9][]byte // fields 6 to 14: hashes of 32 bytes, the last one an address
}

const (
	validatorsHash     = 8 - 6
	nextValidatorsHash = 9 - 6
	appHashField       = 11 - 6
)

type vote struct {
	flag      int64
	address   []byte
	time      timestamp
	signature []byte
}

type commit struct {
	height, round int64
	block         blockID
	votes         []vote
}

type signedHeader struct {
	header header
	commit commit
}

type validator struct {
	key   []byte
	power integer
}

// parseSignedHeader returns false for bytes that are not one canonical SignedHeader that keeps its own rules.
func parseSignedHeader(data []byte) (signedHeader, bool) {
	outer := parseMessage(data)
	headerBytes, commitBytes := outer.blob(1), outer.blob(2)
	outer.only(2)
	if !outer.ok || len(headerBytes) > 1024 {
		return signedHeader{}, false
	}
	head, isHeader := parseHeader(headerBytes)
	vouched, isCommit := parseCommit(commitBytes)
	signed := signedHeader{head, vouched}
	encoded := putMessage(putMessage(nil, 1, head.encode()), 2, vouched.encode())
	return signed, isHeader && isCommit && bytes.Equal(encoded, data)
}

func parseHeader(data []byte) (header, bool) {
	fields := parseMessage(data)
	version := parseMessage(fields.blob(1))
	head := header{
		blockVersion: version.integer(1),
		appVersion:   version.integer(2),
		chain:        fields.text(2),
		height:       fields.integer(3),
	}
	version.only(2)
	isTime, isBlock := false, false
	head.time, isTime = parseTime(fields.blob(4))
	head.last, isBlock = parseBlockID(fields.blob(5))
	ok := isTime && isBlock && head.blockVersion == 11 && head.height >= 1
	ok = ok && len(head.chain) >= 1 && len(head.chain) <= 50
	for place := range head.hashes {
		head.hashes[place] = fields.blob(place + 6)
		size := len(head.hashes[place])
		switch place {
		case validatorsHash:
			ok = ok && size == 32
		case len(head.hashes) - 1:
			ok = ok && size == 20
		default:
			ok = ok && (size == 0 || size == 32)
		}
	}
	fields.only(14)
	return head, ok && fields.ok && version.ok
}

func parseTime(data []byte) (timestamp, bool) {
	fields := parseMessage(data)
	at := timestamp{fields.integer(1), fields.integer(2)}
	fields.only(2)
	inRange := at.seconds >= secondsMin && at.seconds <= secondsMax && at.nanoseconds >= 0 && at.nanoseconds < 1e9
	return at, fields.ok && inRange
}

func parseBlockID(data []byte) (blockID, bool) {
	fields := parseMessage(data)
	parts := parseMessage(fields.blob(2))
	block := blockID{fields.blob(1), parts.integer(1), parts.blob(2)}
	fields.only(2)
	parts.only(2)
	ok := fields.ok && parts.ok && block.total >= 0 && block.total < 1<<32
	return block, ok && isHashOrNone(block.hash) && isHashOrNone(block.partsHash)
}

func isHashOrNone(data []byte) bool { return len(data) == 0 || len(data) == 32 }

func parseCommit(data []byte) (commit, bool) {
	fields := parseMessage(data)
	vouched := commit{height: fields.integer(1), round: fields.integer(2)}
	ok := false
	vouched.block, ok = parseBlockID(fields.blob(3))
	for _, each := range fields.fields {
		if each.number == 4 {
			one, isVote := parseVote(each.bytes)
			ok = ok && isVote && each.kind == kindBytes
			vouched.votes = append(vouched.votes, one)
		}
	}
	fields.only(4)
	if bytes.Equal(data, []byte{0x1a, 0x02, 0x12, 0x00}) { // below the first block
		return vouched, true
	}
	ok = ok && vouched.height >= 1 && vouched.round >= 0 && vouched.round < 1<<31 && len(vouched.block.hash) == 32
	return vouched, ok && fields.ok && len(vouched.votes) >= 1 && len(vouched.votes) <= countMax
}

func parseVote(data []byte) (vote, bool) {
	fields := parseMessage(data)
	cast := vote{flag: fields.integer(1), address: fields.blob(2), signature: fields.blob(4)}
	ok := false
	cast.time, ok = parseTime(fields.blob(3))
	fields.only(4)
	ok = ok && fields.ok
	if cast.flag == flagAbsent {
		return cast, ok && len(cast.address) == 0 && len(cast.signature) == 0 && cast.time == noTime
	}
	isVote := cast.flag == flagCommit || cast.flag == flagNil
	return cast, ok && isVote && len(cast.address) == 20 && len(cast.signature) == 64
}

func (t timestamp) encode() []byte {
	return putInteger(putInteger(nil, 1, t.seconds), 2, t.nanoseconds)
}

func (b blockID) encode() []byte {
	parts := putBytes(putInteger(nil, 1, b.total), 2, b.partsHash)
	return putMessage(putBytes(nil, 1, b.hash), 2, parts)
}

func (h header) version() []byte {
	return putInteger(putInteger(nil, 1, h.blockVersion), 2, h.appVersion)
}

func (h header) encode() []byte {
	out := putMessage(nil, 1, h.version())
	out = putBytes(out, 2, []byte(h.chain))
	out = putInteger(out, 3, h.height)
	out = putMessage(out, 4, h.time.encode())
	out = putMessage(out, 5, h.last.encode())
	for place, each := range h.hashes {
		out = putBytes(out, place+6, each)
	}
	return out
}

func (h header) hash() []byte {
	items := [][]byte{
		h.version(), putBytes(nil, 1, []byte(h.chain)), putInteger(nil, 1, h.height), h.time.encode(), h.last.encode(),
	}
	for _, each := range h.hashes {
		items = append(items, putBytes(nil, 1, each))
	}
	return merkleRoot(items)
}

func (c commit) encode() []byte {
	out := putMessage(putInteger(putInteger(nil, 1, c.height), 2, c.round), 3, c.block.encode())
	for _, each := range c.votes {
		one := putMessage(putBytes(putInteger(nil, 1, each.flag), 2, each.address), 3, each.time.encode())
		out = putMessage(out, 4, putBytes(one, 4, each.signature))
	}
	return out
}

func (c commit) signBytes(chain string, cast vote) []byte {
	out := putFixed64(putFixed64(putInteger(nil, 1, 2), 2, c.height), 3, c.round)
	if cast.flag == flagCommit {
		out = putMessage(out, 4, c.block.encode())
	}
	out = putBytes(putMessage(out, 5, cast.time.encode()), 6, []byte(chain))
	return append(binary.AppendUvarint(nil, uint64(len(out))), out...)
}

func (v validator) address() []byte { return hash(v.key)[:20] }

func setHash(set []validator) []byte {
	items := make([][]byte, len(set))
	for place, each := range set {
		items[place] = putInteger(putMessage(nil, 1, putMessage(nil, 1, each.key)), 2, int64(each.power.value))
	}
	return merkleRoot(items)
}

// isSet says whether validators keep the rules of a set.
func isSet(set []validator) bool {
	keys := map[string]bool{}
	var total uint64
	for _, each := range set {
		if len(each.key) != 32 || each.power.negative || each.power.value < 1 || each.power.value > powerMax {
			return false
		}
		keys[string(each.key)] = true
		total += each.power.value
		if total > powerMax {
			return false
		}
	}
	return len(set) >= 1 && len(set) <= countMax && len(keys) == len(set)
}

func totalPower(set []validator) uint64 {
	var total uint64
	for _, each := range set {
		total += each.power.value
	}
	return total
}

// moreThan says whether part / whole > numerator / denominator, in 128 bits.
func moreThan(part, whole, numerator, denominator uint64) bool {
	leftHigh, leftLow := bits.Mul64(part, denominator)
	rightHigh, rightLow := bits.Mul64(whole, numerator)
	return leftHigh > rightHigh || (leftHigh == rightHigh && leftLow > rightLow)
}

// fits is steps 1 to 4 of *a signed header*; that the header keeps its rules was seen when it was parsed.
func (s signedHeader) fits(chain string, set []validator) bool {
	isNamed := s.header.chain == chain && bytes.Equal(s.header.hashes[validatorsHash], setHash(set))
	return isNamed && bytes.Equal(s.commit.block.hash, s.header.hash())
}

// commitHolds is *a commit*, for the header's own block id and height.
func (s signedHeader) commitHolds(chain string, set []validator) bool {
	if !isSet(set) || len(s.commit.votes) != len(set) || s.commit.height != s.header.height {
		return false
	}
	var voted uint64
	for place, each := range s.commit.votes {
		if each.flag == flagAbsent {
			continue
		}
		signer := set[place]
		if !bytes.Equal(each.address, signer.address()) {
			return false
		}
		if !holdsZip215(signer.key, s.commit.signBytes(chain, each), each.signature) {
			return false
		}
		if each.flag == flagCommit {
			voted += signer.power.value
		}
	}
	return moreThan(voted, totalPower(set), 2, 3)
}

// trustedVotes is the power, in a trusted set, of the trusted keys at whose place is a vote for the block.
func (s signedHeader) trustedVotes(trusted, set []validator) uint64 {
	voted := map[string]bool{}
	for place, each := range s.commit.votes {
		if place < len(set) && each.flag == flagCommit {
			voted[string(set[place].key)] = true
		}
	}
	var total uint64
	for _, each := range trusted {
		if voted[string(each.key)] {
			total += each.power.value
		}
	}
	return total
}
