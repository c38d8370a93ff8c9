package keys

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// fileLimit is far more than a key file holds; a larger file is something else.
const fileLimit = 4096

// LoadFile reads the private key that WriteFile wrote to path. It refuses a
// file that its group or the world may read, and says how to mend that.
func LoadFile(path string) (PrivateKey, error) {
	f, err := os.Open(path)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("read private key: %w", err)
	}
	defer f.Close()
	info, err := f.Stat() // of the open file, so that it cannot be swapped in between
	if err != nil {
		return PrivateKey{}, fmt.Errorf("read private key: %w", err)
	}
	if !info.Mode().IsRegular() {
		return PrivateKey{}, fmt.Errorf("read private key: %s is no regular file", path)
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return PrivateKey{}, fmt.Errorf("read private key: %s has mode %04o, so others than its owner may use it; run: chmod 600 %s",
			path, perm, shellQuote(path))
	}
	text, err := io.ReadAll(io.LimitReader(f, fileLimit+1))
	if err != nil {
		return PrivateKey{}, fmt.Errorf("read private key: %w", err)
	}
	if len(text) > fileLimit {
		return PrivateKey{}, fmt.Errorf("read private key: %s is larger than %d bytes; want one line of 44 characters", path, fileLimit)
	}
	k, err := ParsePrivate(strings.TrimSpace(string(text)))
	if err != nil {
		return PrivateKey{}, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}

// WriteFile writes k to a new file of mode 0600 and waits until it is on disk.
// It never overwrites: if path exists, it fails with fs.ErrExist.
func (k PrivateKey) WriteFile(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("write private key: %s is there already and is never overwritten; choose another path or move it away: %w", path, fs.ErrExist)
	}
	if err != nil {
		return fmt.Errorf("write private key: %w", err)
	}
	_, err = f.WriteString(k.Reveal() + "\n")
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		_ = os.Remove(path) // ours: O_EXCL made it
		return fmt.Errorf("write private key: %w", err)
	}
	return nil
}

// syncDir makes a new name in dir survive a loss of power.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// shellQuote makes path safe to paste behind a command.
func shellQuote(path string) string {
	if strings.Trim(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-") == "" {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
