package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
)

// What the embedded etcd is set to.
const (
	DefaultQuota = 2 << 30   // bytes the database may grow to
	maxRequest   = 8 << 20   // bytes of one transaction
	maxTxnOps    = 10_000    // writes of one transaction: a whole file applied at once
	keepChanges  = time.Hour // compacted when older
	startTimeout = 60 * time.Second
	memberName   = "causeway"
	memberURL    = "http://localhost:2380" // of a member that nobody connects to
	clusterToken = "causeway"
	lockFile     = "lock"
	lockPatience = 3 * time.Second // for a process that is just ending
	etcdFolder   = "etcd"
)

// Embedded says how to run an etcd in this process.
type Embedded struct {
	Folder string // made when it is not there, mode 0700
	Prefix string // of all keys; default DefaultPrefix
	Quota  int64  // bytes; default DefaultQuota
	Log    *slog.Logger

	// NoSync leaves out waiting for the disk: for tests only, as a crash of the
	// machine may lose what was acknowledged.
	NoSync bool
}

// OpenEmbedded starts an etcd on a data folder and waits until it serves, as
// long as ctx allows. Close stops it.
func OpenEmbedded(ctx context.Context, e Embedded) (_ *Store, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("open the store in %s: %w", e.Folder, err)
		}
	}()
	if err := privateFolder(e.Folder); err != nil {
		return nil, err
	}
	unlock, err := lock(ctx, filepath.Join(e.Folder, lockFile))
	if err != nil {
		return nil, err
	}
	sockets, err := os.MkdirTemp("", "causeway-etcd-") // 0700; paths of sockets must be short
	if err != nil {
		return nil, errors.Join(err, unlock())
	}
	cleanUp := func() error { return errors.Join(os.RemoveAll(sockets), unlock()) }
	var stopping atomic.Bool
	server, err := start(ctx, e, sockets, &stopping)
	if err != nil {
		return nil, errors.Join(err, cleanUp())
	}
	client := v3client.New(server.Server)
	s := newStore(client, e.Prefix, func() error {
		err := client.Close()
		stopping.Store(true)
		server.Close()
		return errors.Join(err, cleanUp())
	})
	be := server.Server.Backend() // the in-memory client can neither copy nor defragment it
	s.copy, s.tidy = copyOf(be), be.Defrag
	return s, nil
}

// privateFolder makes folder, or sees that it is its owner's alone.
func privateFolder(folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(folder)
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("others may enter it (mode %04o), and secrets are in it; run: chmod 700 %s", mode, folder)
	}
	return nil
}

// lock takes a file for this process; another one's is told of, not waited for
// without end as etcd itself would.
func lock(ctx context.Context, file string) (unlock func() error, err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(lockPatience); ; {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f.Close, nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return nil, errors.Join(fmt.Errorf("another process uses it (%w); stop that one, or use another folder", err), f.Close())
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func start(ctx context.Context, e Embedded, sockets string, stopping *atomic.Bool) (*embed.Etcd, error) {
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir = memberName, filepath.Join(e.Folder, etcdFolder)
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(quiet(e.Log, stopping))
	member, err := url.Parse(memberURL)
	if err != nil {
		return nil, err
	}
	cfg.ListenPeerUrls = []url.URL{{Scheme: "unix", Path: filepath.Join(sockets, "peer")}}
	cfg.ListenClientUrls = []url.URL{{Scheme: "unix", Path: filepath.Join(sockets, "client")}}
	cfg.AdvertisePeerUrls, cfg.AdvertiseClientUrls = []url.URL{*member}, []url.URL{*member}
	cfg.InitialCluster, cfg.InitialClusterToken = memberName+"="+memberURL, clusterToken
	cfg.EnableGRPCGateway = false
	cfg.AutoCompactionMode, cfg.AutoCompactionRetention = "periodic", keepChanges.String()
	cfg.QuotaBackendBytes = e.Quota
	if e.Quota == 0 {
		cfg.QuotaBackendBytes = DefaultQuota
	}
	cfg.MaxRequestBytes, cfg.MaxTxnOps = maxRequest, maxTxnOps
	cfg.UnsafeNoFsync = e.NoSync
	cfg.TickMs, cfg.ElectionMs = 100, 1000
	server, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, err
	}
	timeout := time.NewTimer(startTimeout)
	defer timeout.Stop()
	select {
	case <-server.Server.ReadyNotify():
		return server, nil
	case err = <-server.Err():
	case <-server.Server.StopNotify():
		err = errors.New("etcd stopped while it started")
	case <-timeout.C:
		err = fmt.Errorf("etcd was not ready within %v; is the disk full or very slow?", startTimeout)
	case <-ctx.Done():
		err = ctx.Err()
	}
	stopping.Store(true)
	server.Close()
	return nil, err
}
