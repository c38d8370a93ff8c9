package etcdstore

import (
	"context"
	"errors"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Defragment gives the space of what was compacted back to the disk, one
// member after the other, and lets a store that had reached its quota take
// writes again. Members do not answer while it is their turn.
func (s *Store) Defragment(ctx context.Context) error {
	within, done := s.call(ctx)
	defer done()
	if err := s.defragment(within); err != nil {
		return fmt.Errorf("defragment the store: %w", err)
	}
	alarms, err := s.client.AlarmList(within)
	if err != nil {
		return fmt.Errorf("defragment the store: ask for alarms: %w", reason(within, err))
	}
	var errs []error
	for _, a := range alarms.Alarms {
		if _, err := s.client.AlarmDisarm(within, &clientv3.AlarmMember{MemberID: a.MemberID, Alarm: a.Alarm}); err != nil {
			errs = append(errs, fmt.Errorf("end the alarm %v: %w", a.Alarm, reason(within, err)))
		}
	}
	return errors.Join(errs...)
}

func (s *Store) defragment(ctx context.Context) error {
	if s.tidy != nil {
		return s.tidy()
	}
	for _, member := range s.client.Endpoints() {
		if _, err := s.client.Defragment(ctx, member); err != nil {
			return fmt.Errorf("%s: %w", member, reason(ctx, err))
		}
	}
	return nil
}
