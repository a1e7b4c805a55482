// Adds, queries and deletes storages through ZStack's public Go SDK, unmodified, while management nodes fail behind a proxy.
//
//	go run ./failover HOST PORT < LINES
//
// Each line of the standard input is `HOSTNAME USERNAME PASSWORD URL`; `begin` ends them, and the end of the input ends the
// run. What a call has answered is held against what queries answer: a storage whose add was acknowledged is there, once, and
// one whose delete was acknowledged is not. A call that failed may have done its work or not: then a query says which. The
// last line is a JSON object with what was counted, and with the storages that were acknowledged and should be there.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/terraform-zstack-modules/zstack-sdk-go/pkg/client"
	"github.com/terraform-zstack-modules/zstack-sdk-go/pkg/param"
	"github.com/terraform-zstack-modules/zstack-sdk-go/pkg/view"
)

const (
	pause   = 100 * time.Millisecond
	patient = 2 * time.Minute // how long a query may fail
	workers = 3
)

// storage is one that a worker adds and deletes by turns; uuid is empty while it should not be there.
type storage struct {
	hostname, username, password, url string
	uuid                              string
}

type report struct {
	Added, Deleted, Queried, Failed int
	LongestSeconds                  float64           // the longest time without any call that succeeded
	Broken                          []string          // what contradicts an acknowledgement
	Expected                        map[string]string // by hostname, the uuid of each storage that should be there
}

type counter struct {
	sync.Mutex
	report
	last time.Time
}

func (all *counter) done(what *int) {
	all.Lock()
	defer all.Unlock()
	*what++
	now := time.Now()
	all.LongestSeconds = max(all.LongestSeconds, now.Sub(all.last).Seconds())
	all.last = now
}

func (all *counter) failed(what string, err error) {
	all.Lock()
	defer all.Unlock()
	all.Failed++
	text := strings.Join(strings.Fields(err.Error()), " ")
	fmt.Println(time.Now().UTC().Format(time.RFC3339Nano), what, "failed:", text[:min(len(text), 300)])
}

func (all *counter) broken(format string, values ...any) {
	all.Lock()
	defer all.Unlock()
	all.Broken = append(all.Broken, fmt.Sprintf(format, values...))
}

func main() {
	if len(os.Args) != 3 {
		exit(errors.New("usage: HOST PORT"))
	}
	port, err := strconv.Atoi(os.Args[2])
	exit(err)
	config := client.NewZSConfig(os.Args[1], port, "zstack").RetryInterval(1).RetryTimes(60)
	node := client.NewZSClient(config.LoginAccount("admin", "password"))
	_, err = node.Login()
	exit(err)
	lines := bufio.NewScanner(os.Stdin)
	storages := read(lines)
	all := &counter{last: time.Now()}
	stop, wait := make(chan struct{}), sync.WaitGroup{}
	for number := range workers {
		wait.Add(1)
		go func() {
			defer wait.Done()
			work(node, storages[number*len(storages)/workers:(number+1)*len(storages)/workers], all, stop)
		}()
	}
	fmt.Println("ready")
	for lines.Scan() {
	}
	close(stop)
	wait.Wait()
	all.Expected = map[string]string{}
	for _, one := range storages {
		if one.uuid != "" {
			all.Expected[one.hostname] = one.uuid
		}
	}
	exit(json.NewEncoder(os.Stdout).Encode(all.report))
}

func read(lines *bufio.Scanner) (storages []*storage) {
	for lines.Scan() && lines.Text() != "begin" {
		words := strings.Fields(lines.Text())
		storages = append(storages, &storage{words[0], words[1], words[2], words[3], ""})
	}
	return storages
}

// work adds each storage, then deletes each, and so on until it is stopped.
func work(node *client.ZSClient, storages []*storage, all *counter, stop <-chan struct{}) {
	for {
		for _, one := range storages {
			select {
			case <-stop:
				return
			case <-time.After(pause):
			}
			if one.uuid == "" {
				add(node, one, all)
			} else {
				remove(node, one, all)
			}
		}
	}
}

func add(node *client.ZSClient, one *storage, all *counter) {
	added, err := node.AddImageStoreBackupStorage(param.AddImageStoreBackupStorageParam{
		Params: param.AddImageStoreBackupStorageDetailParam{
			Name: one.hostname, Hostname: one.hostname, Username: one.username, Password: one.password, Url: one.url,
		},
	})
	if err != nil {
		all.failed("add "+one.hostname, err)
		discard(node, one.hostname, all)
		return
	}
	one.uuid = added.UUID
	all.done(&all.Added)
	if found := query(node, one.hostname, all); len(found) != 1 || found[0].UUID != added.UUID {
		all.broken("%s was added as %s, and a query finds %v", one.hostname, added.UUID, uuids(found))
	}
}

func remove(node *client.ZSClient, one *storage, all *counter) {
	for {
		err := node.DeleteBackupStorage(one.uuid)
		found := query(node, one.hostname, all)
		if err == nil {
			all.done(&all.Deleted)
			if len(found) != 0 {
				all.broken("%s was deleted, and a query finds %v", one.hostname, uuids(found))
			}
			one.uuid = ""
			return
		}
		all.failed("delete "+one.hostname, err)
		time.Sleep(pause)
	}
}

// discard deletes what an add has left that failed, which may be nothing.
func discard(node *client.ZSClient, hostname string, all *counter) {
	for _, left := range query(node, hostname, all) {
		if err := node.DeleteBackupStorage(left.UUID); err != nil {
			all.failed("delete what an add has left of "+hostname, err)
		}
	}
}

// query returns the storages with a hostname, however often it has to ask.
func query(node *client.ZSClient, hostname string, all *counter) []view.BackupStorageInventoryView {
	conditions := param.NewQueryParam()
	conditions.AddQ("hostname=" + hostname)
	for deadline := time.Now().Add(patient); ; time.Sleep(pause) {
		found, err := node.QueryImageStoreBackupStorage(conditions)
		if err == nil {
			all.done(&all.Queried)
			return found
		}
		all.failed("query", err)
		if time.Now().After(deadline) {
			exit(fmt.Errorf("no query was answered for %s: %w", patient, err))
		}
	}
}

func uuids(storages []view.BackupStorageInventoryView) (found []string) {
	for _, one := range storages {
		found = append(found, one.UUID)
	}
	return found
}

func exit(err error) {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}
