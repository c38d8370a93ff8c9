package etcdstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/storage/backend"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"go.etcd.io/etcd/server/v3/storage/schema"
)

// A snapshot of the store is etcd's own: the database file as it is, and its
// SHA-256 behind it. So `etcdutl snapshot restore` can read it as well, and one
// of an external cluster can become an embedded store.

// SaveSnapshot writes a snapshot of everything the etcd holds to a file, which
// appears whole or not at all, readable by its owner only.
func (s *Store) SaveSnapshot(ctx context.Context, file string) (SnapshotInfo, error) {
	info, err := s.saveSnapshot(ctx, file)
	if err != nil {
		return info, fmt.Errorf("save a snapshot of the store to %s: %w", file, err)
	}
	return info, nil
}

func (s *Store) saveSnapshot(ctx context.Context, file string) (info SnapshotInfo, err error) {
	within, done := s.call(ctx)
	defer done()
	part := file + ".part"
	out, err := os.OpenFile(part, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return info, err
	}
	defer os.Remove(part)
	if s.copy != nil {
		err = s.copy(out)
	} else {
		err = s.download(within, out)
	}
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return info, err
	}
	if info, err = InspectSnapshot(part); err != nil {
		return info, err
	}
	info.File = file
	return info, os.Rename(part, file)
}

// behind is how often, and at what distance, a cluster is asked again for a
// snapshot when the member that answered lagged behind the others.
const (
	behind      = 20
	behindPause = 250 * time.Millisecond
)

// download fetches a snapshot from a cluster. A member sends what it has
// applied itself, which may be less than what the cluster has acknowledged. So
// the newest revision is read first, by quorum, and a snapshot without it is
// fetched again, from whichever member comes next.
func (s *Store) download(ctx context.Context, to *os.File) error {
	newest, err := s.client.Get(ctx, s.prefix, clientv3.WithCountOnly())
	if err != nil {
		return reason(ctx, err)
	}
	var have int64
	for range behind {
		if _, err := to.Seek(0, io.SeekStart); err != nil {
			return err
		}
		if err := to.Truncate(0); err != nil {
			return err
		}
		if err := s.fetch(ctx, to); err != nil {
			return err
		}
		info, err := InspectSnapshot(to.Name())
		if err != nil {
			return err
		}
		if have = info.Revision; have >= newest.Header.Revision {
			return nil
		}
		select {
		case <-ctx.Done():
			return reason(ctx, ctx.Err())
		case <-time.After(behindPause):
		}
	}
	return fmt.Errorf("the member that answers holds revision %d and the cluster %d; look at the cluster's health, or name only healthy members with --etcd-endpoints",
		have, newest.Header.Revision)
}

// fetch copies one member's snapshot.
func (s *Store) fetch(ctx context.Context, to io.Writer) error {
	stream, err := s.client.Snapshot(ctx)
	if err != nil {
		return reason(ctx, err)
	}
	defer stream.Close()
	if _, err := io.Copy(to, stream); err != nil {
		return reason(ctx, err)
	}
	return nil
}

// copyOf writes an embedded etcd's database and its sum. (Its in-memory client
// takes the end of the stream for a broken one.)
func copyOf(be backend.Backend) func(io.Writer) error {
	return func(to io.Writer) error {
		be.ForceCommit()
		snapshot := be.Snapshot()
		defer snapshot.Close()
		h := sha256.New()
		if _, err := snapshot.WriteTo(io.MultiWriter(to, h)); err != nil {
			return err
		}
		_, err := to.Write(h.Sum(nil))
		return err
	}
}

// SnapshotInfo is what a snapshot holds.
type SnapshotInfo struct {
	File     string    `json:"file"`
	Revision int64     `json:"revision"` // the newest in it
	Keys     int       `json:"keys"`     // at that revision, all prefixes together
	Bytes    int64     `json:"bytes"`    // of the file
	SHA256   string    `json:"sha256"`   // of the database in it
	Modified time.Time `json:"modified"` // of the file
}

// InspectSnapshot reads a snapshot and checks that it is whole.
func InspectSnapshot(file string) (SnapshotInfo, error) {
	info, err := inspect(file)
	if err != nil {
		return info, fmt.Errorf("inspect the snapshot %s: %w", file, err)
	}
	return info, nil
}

func inspect(file string) (SnapshotInfo, error) {
	info := SnapshotInfo{File: file}
	stat, err := os.Stat(file)
	if err != nil {
		return info, err
	}
	info.Bytes, info.Modified = stat.Size(), stat.ModTime()
	if info.SHA256, err = checkSum(file, stat.Size()); err != nil {
		return info, err
	}
	db, err := bbolt.Open(file, 0o400, &bbolt.Options{ReadOnly: true, Timeout: time.Second})
	if err != nil {
		return info, err
	}
	defer db.Close()
	live := map[string]bool{}
	err = db.View(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket(schema.Key.Name())
		if bucket == nil {
			return errors.New("it holds no etcd database")
		}
		return bucket.ForEach(func(at, value []byte) error {
			info.Revision = max(info.Revision, mvcc.BytesToBucketKey(at).Main)
			var kv mvccpb.KeyValue
			if err := kv.Unmarshal(value); err != nil {
				return fmt.Errorf("the database is damaged: %w", err)
			}
			live[string(kv.Key)] = !mvcc.IsTombstone(at)
			return nil
		})
	})
	for _, there := range live {
		if there {
			info.Keys++
		}
	}
	return info, err
}

// checkSum compares a snapshot with the sum behind it, and returns the sum.
func checkSum(file string, size int64) (string, error) {
	const page = 512 // databases are whole pages
	if size%page != sha256.Size {
		return "", errors.New("it is no snapshot, or not whole: the checksum at its end is missing")
	}
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.CopyN(h, f, size-sha256.Size); err != nil {
		return "", err
	}
	want, err := io.ReadAll(f)
	if err != nil {
		return "", err
	}
	if have := h.Sum(nil); !bytes.Equal(have, want) {
		return "", fmt.Errorf("it is damaged: its checksum is %x, and at its end stands %x; use another snapshot", have, want)
	}
	return hex.EncodeToString(want), nil
}
