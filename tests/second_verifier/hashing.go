package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
)

func hash(parts ...[]byte) []byte {
	digest := sha256.Sum256(bytes.Join(parts, nil))
	return digest[:]
}

// tagged is machine.md's tagged(tag, part, ...).
func tagged(tag string, parts ...[]byte) []byte {
	joined := append([]byte{byte(len(tag))}, tag...)
	for _, part := range parts {
		joined = append(binary.BigEndian.AppendUint64(joined, uint64(len(part))), part...)
	}
	return hash(joined)
}

func leafHash(data []byte) []byte { return hash([]byte{0}, data) }

func nodeHash(left, right []byte) []byte { return hash([]byte{1}, left, right) }

// split is the largest power of two below a size of at least 2 (RFC 9162 2.1.1).
func split(size uint64) uint64 { return 1 << (bits.Len64(size-1) - 1) }

// merkleRoot is the RFC 9162 root over items.
func merkleRoot(items [][]byte) []byte {
	hashes := make([][]byte, len(items))
	for place, each := range items {
		hashes[place] = leafHash(each)
	}
	return rootOf(hashes)
}

func rootOf(hashes [][]byte) []byte {
	switch len(hashes) {
	case 0:
		return hash()
	case 1:
		return hashes[0]
	}
	half := split(uint64(len(hashes)))
	return nodeHash(rootOf(hashes[:half]), rootOf(hashes[half:]))
}

// pathRoot follows a path from a leaf to the root (RFC 9162 2.1.3.1, read backwards); nil for a path of another length.
func pathRoot(leaf []byte, index, size uint64, path [][]byte) []byte {
	if index >= size {
		return nil
	}
	var walk func(at, count uint64) []byte
	walk = func(at, count uint64) []byte {
		if count == 1 {
			return leaf
		}
		if len(path) == 0 {
			return nil
		}
		other := path[len(path)-1]
		path = path[:len(path)-1]
		half := split(count)
		if at < half {
			if below := walk(at, half); below != nil {
				return nodeHash(below, other)
			}
		} else if below := walk(at-half, count-half); below != nil {
			return nodeHash(other, below)
		}
		return nil
	}
	if root := walk(index, size); len(path) == 0 {
		return root
	}
	return nil
}

// isConsistent says whether a path shows that a log of the newer root begins with one of the older (RFC 9162 2.1.4).
func isConsistent(older, newer uint64, oldRoot, newRoot []byte, path [][]byte) bool {
	pop := func() []byte {
		if len(path) == 0 {
			return nil
		}
		last := path[len(path)-1]
		path = path[:len(path)-1]
		return last
	}
	var walk func(first, last uint64, whole bool) (before, after []byte)
	walk = func(first, last uint64, whole bool) (before, after []byte) {
		if first == last {
			if whole {
				return oldRoot, oldRoot
			}
			one := pop()
			return one, one
		}
		half, other := split(last), pop()
		if first <= half {
			before, after = walk(first, half, whole)
			if before == nil || other == nil {
				return nil, nil
			}
			return before, nodeHash(after, other)
		}
		before, after = walk(first-half, last-half, false)
		if before == nil || other == nil {
			return nil, nil
		}
		return nodeHash(other, before), nodeHash(other, after)
	}
	before, after := walk(older, newer, true)
	return before != nil && len(path) == 0 && bytes.Equal(before, oldRoot) && bytes.Equal(after, newRoot)
}
