package etcdstore

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.etcd.io/etcd/server/v3/etcdserver/api/membership"
	"go.etcd.io/etcd/server/v3/etcdserver/api/snap"
	"go.etcd.io/etcd/server/v3/storage/backend"
	"go.etcd.io/etcd/server/v3/storage/datadir"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
)

// RestoreSnapshot makes a new data folder for OpenEmbedded from a snapshot.
// The folder must not hold a store; it appears whole or not at all. Revisions
// go on where the snapshot ended, so revisions that were made after it will be
// made a second time: after opening, let the service's Restored make a
// difference that agents notice.
//
// For an external cluster, restore with its own tool: etcdutl snapshot restore.
func RestoreSnapshot(ctx context.Context, file, folder string) (SnapshotInfo, error) {
	info, err := restore(ctx, file, folder)
	if err != nil {
		return info, fmt.Errorf("restore the store in %s from %s: %w", folder, file, err)
	}
	return info, nil
}

func restore(ctx context.Context, file, folder string) (SnapshotInfo, error) {
	info, err := InspectSnapshot(file)
	if err != nil {
		return info, err
	}
	target := filepath.Join(folder, etcdFolder)
	if _, err := os.Stat(target); err == nil {
		return info, errors.New("there is a store already; move it away, or choose another folder")
	}
	if err := privateFolder(folder); err != nil {
		return info, err
	}
	unlock, err := lock(ctx, filepath.Join(folder, lockFile))
	if err != nil {
		return info, err
	}
	defer unlock()
	making, err := os.MkdirTemp(folder, "restoring-")
	if err != nil {
		return info, err
	}
	defer os.RemoveAll(making)
	if err := build(file, making, info.Bytes-sha256.Size); err != nil {
		return info, err
	}
	return info, os.Rename(making, target)
}

// build makes etcd's data folder of a cluster of one around a copy of the
// database: its log holds nothing but that the one member was added.
func build(file, folder string, size int64) error {
	for _, dir := range []string{datadir.ToSnapDir(folder), datadir.ToWALDir(folder)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	if err := copyFile(file, datadir.ToBackendFileName(folder), size); err != nil {
		return err
	}
	log := zap.NewNop()
	urls, err := types.NewURLsMap(memberName + "=" + memberURL)
	if err != nil {
		return err
	}
	cluster, err := membership.NewClusterFromURLsMap(log, clusterToken, urls)
	if err != nil {
		return err
	}
	be := backend.NewDefaultBackend(log, datadir.ToBackendFileName(folder))
	defer be.Close()
	members := schema.NewMembershipBackend(log, be)
	if err := members.TrimMembershipFromBackend(); err != nil {
		return err
	}
	cluster.SetBackend(members)
	for _, m := range cluster.Members() {
		cluster.AddMember(m, membership.ApplyBoth)
	}
	commit, err := beginLog(log, folder, cluster)
	if err != nil {
		return err
	}
	tx := be.BatchTx()
	tx.LockOutsideApply()
	defer tx.Unlock()
	schema.UnsafeUpdateConsistentIndexForce(tx, commit.Index, commit.Term)
	return nil
}

// beginLog writes the first entry of the log and the snapshot that stands at it.
func beginLog(log *zap.Logger, folder string, cluster *membership.RaftCluster) (walpb.Snapshot, error) {
	self := cluster.MemberByName(memberName)
	metadata, err := (&etcdserverpb.Metadata{NodeID: uint64(self.ID), ClusterID: uint64(cluster.ID())}).Marshal()
	if err != nil {
		return walpb.Snapshot{}, err
	}
	description, err := json.Marshal(self)
	if err != nil {
		return walpb.Snapshot{}, err
	}
	peer := raft.Peer{ID: uint64(self.ID), Context: description}
	added, err := (&raftpb.ConfChange{Type: raftpb.ConfChangeAddNode, NodeID: peer.ID, Context: peer.Context}).Marshal()
	if err != nil {
		return walpb.Snapshot{}, err
	}
	const index, term = 1, 1
	voters := raftpb.ConfState{Voters: []uint64{peer.ID}}
	at := walpb.Snapshot{Index: index, Term: term, ConfState: &voters}
	w, err := wal.Create(log, datadir.ToWALDir(folder), metadata)
	if err != nil {
		return at, err
	}
	defer w.Close()
	err = w.Save(raftpb.HardState{Term: term, Vote: peer.ID, Commit: index}, []raftpb.Entry{{Type: raftpb.EntryConfChange, Term: term, Index: index, Data: added}})
	if err != nil {
		return at, err
	}
	err = snap.New(log, datadir.ToSnapDir(folder)).SaveSnap(raftpb.Snapshot{
		Data: etcdserver.GetMembershipInfoInV2Format(log, cluster), Metadata: raftpb.SnapshotMetadata{Index: index, Term: term, ConfState: voters},
	})
	if err != nil {
		return at, err
	}
	return at, w.SaveSnapshot(at)
}

// copyFile copies the first size bytes.
func copyFile(from, to string, size int64) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.CopyN(out, in, size)
	return errors.Join(err, out.Sync(), out.Close())
}
