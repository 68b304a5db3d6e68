// Command secondverifier checks Salus proofs. It was written after docs/spec and shares nothing with the first
// verifier: Go's standard library, and the pages header.md, proofs.md, receipts.md, tree.md, log.md and machine.md.
//
// It reads one JSON object per line and answers each with one line: "accept", or "refuse", checklist and step.
//
//	{"trust": "<trust file>", "now_s": 1750000000, "file": "<bundle in hexadecimal>"}
//	{"public": "<hex>", "message": "<hex>", "signature": "<hex>"}   a signature alone, by ZIP-215
package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
)

// refusal is the step that does not hold; every check ends in accept or in one of these.
type refusal struct {
	checklist string
	step      int
}

func refuse(checklist string, step int) {
	panic(refusal{checklist, step})
}

// need refuses unless a step holds.
func need(checklist string, step int, holds bool) {
	if !holds {
		refuse(checklist, step)
	}
}

type question struct {
	Trust     string `json:"trust"`
	NowS      int64  `json:"now_s"`
	File      string `json:"file"`
	Public    string `json:"public"`
	Message   string `json:"message"`
	Signature string `json:"signature"`
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<30)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for lines.Scan() {
		var asked question
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			fmt.Fprintln(os.Stderr, "error: expected a JSON object per line:", err)
			os.Exit(2)
		}
		fmt.Fprintln(out, answer(asked))
	}
	if err := lines.Err(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(2)
	}
}

func answer(asked question) (said string) {
	defer func() {
		if found := recover(); found != nil {
			no, isRefusal := found.(refusal)
			if !isRefusal {
				panic(found)
			}
			said = fmt.Sprintf("refuse %s %d", no.checklist, no.step)
		}
	}()
	if asked.Public != "" {
		need("signature", 1, holdsZip215(unhex(asked.Public), unhex(asked.Message), unhex(asked.Signature)))
		return "accept"
	}
	checkBundle(parseTrust([]byte(asked.Trust)), unhex(asked.File), asked.NowS)
	return "accept"
}

func unhex(text string) []byte {
	data, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return data
}
