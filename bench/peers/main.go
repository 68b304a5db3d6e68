// The network bench's peers: CometBFT applications in Go, each of which does less than Salus.
//
//	peers verifying SOCKET   checks each transaction's signatures, remembers that it did, and keeps a counter
//	peers kvstore SOCKET     CometBFT's own example, behind a socket
//
// A transaction for `verifying` is one byte that counts its signatures, for each of them a public key (32 bytes) and a
// signature (64), and then the message that all of them signed.
package main

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/cometbft/cometbft/abci/example/kvstore"
	"github.com/cometbft/cometbft/abci/server"
	"github.com/cometbft/cometbft/abci/types"
)

const signerSize = ed25519.PublicKeySize + ed25519.SignatureSize

type verifying struct {
	types.BaseApplication
	lock     sync.Mutex
	verified map[[sha256.Size]byte]bool
	height   int64
	count    uint64
	appHash  []byte
}

func (app *verifying) isSigned(tx []byte) bool {
	name := sha256.Sum256(tx)
	app.lock.Lock()
	known := app.verified[name]
	app.lock.Unlock()
	if known {
		return true
	}
	if len(tx) == 0 || len(tx) < 1+int(tx[0])*signerSize {
		return false
	}
	signers, message := tx[1:1+int(tx[0])*signerSize], tx[1+int(tx[0])*signerSize:]
	for ; len(signers) > 0; signers = signers[signerSize:] {
		if !ed25519.Verify(signers[:ed25519.PublicKeySize], message, signers[ed25519.PublicKeySize:signerSize]) {
			return false
		}
	}
	app.lock.Lock()
	app.verified[name] = true
	app.lock.Unlock()
	return true
}

func (app *verifying) Info(context.Context, *types.RequestInfo) (*types.ResponseInfo, error) {
	return &types.ResponseInfo{LastBlockHeight: app.height, LastBlockAppHash: app.appHash}, nil
}

func (app *verifying) CheckTx(_ context.Context, req *types.RequestCheckTx) (*types.ResponseCheckTx, error) {
	if !app.isSigned(req.Tx) {
		return &types.ResponseCheckTx{Code: 1}, nil
	}
	return &types.ResponseCheckTx{}, nil
}

func (app *verifying) PrepareProposal(
	_ context.Context, req *types.RequestPrepareProposal,
) (*types.ResponsePrepareProposal, error) {
	return &types.ResponsePrepareProposal{Txs: req.Txs}, nil
}

func (app *verifying) ProcessProposal(
	_ context.Context, req *types.RequestProcessProposal,
) (*types.ResponseProcessProposal, error) {
	for _, tx := range req.Txs {
		if !app.isSigned(tx) {
			return &types.ResponseProcessProposal{Status: types.ResponseProcessProposal_REJECT}, nil
		}
	}
	return &types.ResponseProcessProposal{Status: types.ResponseProcessProposal_ACCEPT}, nil
}

func (app *verifying) FinalizeBlock(
	_ context.Context, req *types.RequestFinalizeBlock,
) (*types.ResponseFinalizeBlock, error) {
	results := make([]*types.ExecTxResult, len(req.Txs))
	for place, tx := range req.Txs {
		results[place] = &types.ExecTxResult{}
		if !app.isSigned(tx) {
			results[place].Code = 1
			continue
		}
		app.count++
		name := sha256.Sum256(tx)
		app.lock.Lock()
		delete(app.verified, name)
		app.lock.Unlock()
	}
	app.height = req.Height
	app.appHash = binary.BigEndian.AppendUint64(nil, app.count)
	return &types.ResponseFinalizeBlock{TxResults: results, AppHash: app.appHash}, nil
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) != 2 {
		return fmt.Errorf("expected the name of an application and a socket, came %d words", len(arguments))
	}
	applications := map[string]types.Application{
		"verifying": &verifying{verified: map[[sha256.Size]byte]bool{}},
		"kvstore":   kvstore.NewInMemoryApplication(),
	}
	application, known := applications[arguments[0]]
	if !known {
		return fmt.Errorf("expected verifying or kvstore, came %q", arguments[0])
	}
	serving, err := server.NewServer("unix://"+arguments[1], "socket", application)
	if err != nil {
		return err
	}
	if err := serving.Start(); err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	<-stop
	return serving.Stop()
}
