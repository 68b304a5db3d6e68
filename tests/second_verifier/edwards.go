package main

import (
	"crypto/ed25519"
	"crypto/sha512"
	"math/big"
)

// Points of edwards25519 in plain big integers, in extended coordinates (RFC 8032 5.1.4): slow, and used only where
// crypto/ed25519 says no, since ZIP-215 accepts more.
type point struct{ x, y, z, t *big.Int }

var (
	prime  = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	order  = fromDecimal("7237005577332262213973186563042994240857116359379907606001950938285454250989")
	curveD = modulo(new(big.Int).Mul(big.NewInt(-121665), new(big.Int).ModInverse(big.NewInt(121666), prime)))
	root1  = new(big.Int).Exp(big.NewInt(2), new(big.Int).Rsh(new(big.Int).Sub(prime, big.NewInt(1)), 2), prime)
	base   = decodePoint(append([]byte{0x58}, fill(31, 0x66)...))
)

// holdsZip215 checks a signature: S below the order, points decoded leniently, [8][S]B = [8]R + [8][k]A (header.md).
func holdsZip215(public, message, signature []byte) bool {
	if len(public) != 32 || len(signature) != 64 {
		return false
	}
	if ed25519.Verify(public, message, signature) {
		return true
	}
	scalar := littleEndian(signature[32:])
	key, nonce := decodePoint(public), decodePoint(signature[:32])
	if scalar.Cmp(order) >= 0 || key == nil || nonce == nil {
		return false
	}
	digest := sha512.New()
	digest.Write(signature[:32])
	digest.Write(public)
	digest.Write(message)
	challenge := new(big.Int).Mod(littleEndian(digest.Sum(nil)), order)
	right := add(nonce, times(challenge, key))
	difference := add(times(scalar, base), &point{modulo(new(big.Int).Neg(right.x)), right.y, right.z, modulo(new(big.Int).Neg(right.t))})
	for range 3 {
		difference = add(difference, difference)
	}
	return difference.x.Sign() == 0 && difference.y.Cmp(difference.z) == 0
}

// decodePoint accepts a y of the prime or more, and a sign bit with x = 0 (ZIP-215); nil where there is no point.
func decodePoint(encoded []byte) *point {
	y := littleEndian(encoded)
	sign := y.Bit(255)
	y = modulo(y.SetBit(y, 255, 0))
	squared := new(big.Int).Mul(y, y)
	above := new(big.Int).Sub(squared, big.NewInt(1))
	below := new(big.Int).Add(new(big.Int).Mul(curveD, squared), big.NewInt(1))
	ratio := modulo(above.Mul(above, new(big.Int).ModInverse(modulo(below), prime)))
	x := new(big.Int).Exp(ratio, new(big.Int).Rsh(new(big.Int).Add(prime, big.NewInt(3)), 3), prime)
	if modulo(new(big.Int).Mul(x, x)).Cmp(ratio) != 0 {
		x = modulo(x.Mul(x, root1))
	}
	if modulo(new(big.Int).Mul(x, x)).Cmp(ratio) != 0 {
		return nil
	}
	if x.Bit(0) != sign {
		x = modulo(x.Neg(x))
	}
	return &point{x, y, big.NewInt(1), modulo(new(big.Int).Mul(x, y))}
}

func times(scalar *big.Int, of *point) *point {
	sum := &point{new(big.Int), big.NewInt(1), big.NewInt(1), new(big.Int)}
	for place := scalar.BitLen() - 1; place >= 0; place-- {
		if sum = add(sum, sum); scalar.Bit(place) == 1 {
			sum = add(sum, of)
		}
	}
	return sum
}

func add(one, other *point) *point {
	product := func(left, right *big.Int) *big.Int { return modulo(new(big.Int).Mul(left, right)) }
	minus := func(left, right *big.Int) *big.Int { return new(big.Int).Sub(left, right) }
	plus := func(left, right *big.Int) *big.Int { return new(big.Int).Add(left, right) }
	a := product(minus(one.y, one.x), minus(other.y, other.x))
	b := product(plus(one.y, one.x), plus(other.y, other.x))
	c := product(product(one.t, other.t), plus(curveD, curveD))
	d := product(one.z, plus(other.z, other.z))
	e, f, g, h := minus(b, a), minus(d, c), plus(d, c), plus(b, a)
	return &point{product(e, f), product(g, h), product(f, g), product(e, h)}
}

func modulo(number *big.Int) *big.Int { return new(big.Int).Mod(number, prime) }

func littleEndian(data []byte) *big.Int {
	reversed := make([]byte, len(data))
	for place, each := range data {
		reversed[len(data)-1-place] = each
	}
	return new(big.Int).SetBytes(reversed)
}

func fromDecimal(text string) *big.Int {
	number, _ := new(big.Int).SetString(text, 10)
	return number
}

func fill(size int, with byte) []byte {
	data := make([]byte, size)
	for place := range data {
		data[place] = with
	}
	return data
}
