package main

import "bytes"

// The claims of a bundle: outcome, row, history, consistency; proofs.md.

const (
	bundleBytesMax = 256 << 20
	pathMax        = 53
)

func checkBundle(trusted trust, file []byte, nowS int64) {
	inBundle.need(len(file) <= bundleBytesMax)
	parsed, ok := decodeCanonical(file)
	inBundle.need(ok)
	items := inBundle.list(parsed)
	inBundle.need(len(items) >= 2)
	kind := inBundle.number(items[0], 256)
	inBundle.need(inBundle.number(items[1], countLimit) == 1)
	switch kind {
	case 1:
		items = inBundle.fields(parsed, 4)
		signed, proof := parseSignedState(items[2]), parseOutcome(items[3])
		checkOutcome(checkState(trusted, signed, nowS), proof)
	case 2:
		items = inBundle.fields(parsed, 4)
		signed, proof := parseSignedState(items[2]), parseRow(items[3])
		checkRow(checkState(trusted, signed, nowS), proof)
	case 3:
		items = inBundle.fields(inBundle.fields(parsed, 3)[2], 3)
		older, newer := parseSignedState(items[0]), parseSignedState(items[1])
		path := inBundle.digests(items[2], pathMax+1)
		checkConsistency(checkState(trusted, older, nowS), checkState(trusted, newer, nowS), path)
	case 4:
		items = inBundle.fields(parsed, 4)
		signed, opened := parseSignedState(items[2]), parseOpened(items[3])
		checkReceipt(checkState(trusted, signed, nowS), opened)
	case 5:
		checkHistoryBundle(trusted, inBundle.fields(parsed, 6), nowS)
	default:
		inBundle.need(false)
	}
}

type outcomeProof struct {
	leaf  []byte
	index uint64
	path  [][]byte
}

func parseOutcome(item value) outcomeProof {
	fields := inBundle.fields(item, 3)
	return outcomeProof{
		inBundle.bytes(fields[0]), inBundle.number(fields[1], countLimit), inBundle.digests(fields[2], pathMax),
	}
}

func checkOutcome(state verifiedState, proof outcomeProof) leaf {
	need("outcome", 1, proof.index < state.logSize)
	root := pathRoot(leafHash(proof.leaf), proof.index, state.logSize, proof.path)
	need("outcome", 2, root != nil && bytes.Equal(root, state.logRoot))
	return parseLeaf(shape{"outcome", 3}, proof.leaf)
}

// leaf is the outcome of one message (machine.md, Leaves).
type leaf struct {
	height, timeS uint64
	transaction   []byte
	index, code   uint64
	data          []byte
}

func parseLeaf(at shape, data []byte) leaf {
	parsed, ok := decodeCanonical(data)
	at.need(ok)
	fields := at.fields(parsed, 6)
	return leaf{
		height:      at.number(fields[0], countLimit),
		timeS:       at.number(fields[1], secondsLimit),
		transaction: at.sized(fields[2], 32),
		index:       at.number(fields[3], 256),
		code:        at.number(fields[4], 1<<16),
		data:        at.bytes(fields[5]),
	}
}

type rowProof struct {
	key, row                []byte
	bitmap, siblings, other []byte
}

func parseRow(item value) rowProof {
	fields := inBundle.fields(item, 3)
	proof := inBundle.fields(fields[2], 3)
	parsed := rowProof{
		key:      inBundle.bytes(fields[0]),
		row:      inBundle.bytes(fields[1]),
		bitmap:   inBundle.atMost(proof[0], 32),
		siblings: inBundle.atMost(proof[1], 8192),
		other:    inBundle.atMost(proof[2], 64),
	}
	inBundle.need(len(parsed.key) > 0)
	return parsed
}

func checkRow(state verifiedState, proof rowProof) {
	step := 1
	if len(proof.row) == 0 {
		step = 2
	}
	need("row", step, proof.leadsTo(state.treeRoot))
}

func bit(data []byte, place int) bool { return data[place>>3]>>(7-place&7)&1 == 1 }

// leadsTo is tree.md, Checking.
func (p rowProof) leadsTo(root []byte) bool {
	if len(p.bitmap) > 0 && p.bitmap[len(p.bitmap)-1] == 0 { // 1
		return false
	}
	depth, count := 0, 0
	for place := range 8 * len(p.bitmap) {
		if bit(p.bitmap, place) {
			depth, count = place+1, count+1
		}
	}
	empty := make([]byte, 32)
	if len(p.siblings) != 32*count { // 2
		return false
	}
	for at := 0; at < len(p.siblings); at += 32 {
		if bytes.Equal(p.siblings[at:at+32], empty) {
			return false
		}
	}
	path := hash(p.key)
	node := empty
	switch {
	case len(p.row) > 0: // 3
		if len(p.other) != 0 {
			return false
		}
		node = leafHash(append(bytes.Clone(path), hash(p.row)...))
	case len(p.other) > 0: // 4
		if len(p.other) != 64 || bytes.Equal(p.other[:32], path) {
			return false
		}
		for place := range depth {
			if bit(path, place) != bit(p.other, place) {
				return false
			}
		}
		node = leafHash(p.other)
	}
	rest := p.siblings
	for place := depth - 1; place >= 0; place-- { // 5
		sibling := empty
		if bit(p.bitmap, place) {
			sibling, rest = rest[len(rest)-32:], rest[:len(rest)-32]
		}
		if bit(path, place) {
			node = nodeHash(sibling, node)
		} else {
			node = nodeHash(node, sibling)
		}
	}
	return bytes.Equal(node, root) // 6
}

type historyProof struct {
	pseudonym []byte
	row       rowProof
	leaves    [][]byte
}

func parseHistory(item value) historyProof {
	fields := inBundle.fields(item, 3)
	parsed := historyProof{pseudonym: inBundle.sized(fields[0], 16), row: parseRow(fields[1])}
	for _, each := range inBundle.list(fields[2]) {
		parsed.leaves = append(parsed.leaves, inBundle.bytes(each))
	}
	return parsed
}

func checkHistory(state verifiedState, proof historyProof) []leaf {
	key := append([]byte("machine.history\x00"), encode(nil, proof.pseudonym)...)
	need("history", 1, bytes.Equal(proof.row.key, key))
	checkRow(state, proof.row)
	count, stated := uint64(0), make([]byte, 32)
	if len(proof.row.row) > 0 {
		at := shape{"history", 2}
		parsed, ok := decodeCanonical(proof.row.row)
		at.need(ok)
		fields := at.fields(parsed, 2)
		count, stated = at.number(fields[0], countLimit), at.sized(fields[1], 32)
	}
	need("history", 3, uint64(len(proof.leaves)) == count)
	head := make([]byte, 32)
	for _, each := range proof.leaves {
		head = tagged("salus/history/1", head, leafHash(each))
	}
	need("history", 4, bytes.Equal(head, stated))
	var parsed []leaf
	for _, each := range proof.leaves {
		parsed = append(parsed, parseLeaf(shape{"history", 5}, each))
	}
	return parsed
}

func checkConsistency(older, newer verifiedState, path [][]byte) {
	need("consistency", 2, newer.height >= older.height)
	need("consistency", 3, newer.height > older.height || newer.equals(older.appState))
	need("consistency", 3, newer.logSize >= older.logSize)
	switch older.logSize {
	case 0:
		need("consistency", 4, len(path) == 0)
	case newer.logSize:
		need("consistency", 4, len(path) == 0 && bytes.Equal(older.logRoot, newer.logRoot))
	default:
		need("consistency", 4, isConsistent(older.logSize, newer.logSize, older.logRoot, newer.logRoot, path))
	}
}
