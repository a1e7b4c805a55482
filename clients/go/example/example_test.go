// Package example tests a client of ZStack, its public Go SDK, against a lab that fails it.
package example

import (
	"net/url"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	lab "github.com/imagestore-sim/imagestore-sim/clients/go"
	"github.com/terraform-zstack-modules/zstack-sdk-go/pkg/client"
	"github.com/terraform-zstack-modules/zstack-sdk-go/pkg/param"
)

// started returns a lab whose clock stands still until a test moves it.
func started(t *testing.T) *lab.Lab {
	t.Helper()
	return lab.Start(t, lab.WithClock("paused"), lab.WithHosts(1), lab.WithPingInterval(5*time.Minute))
}

// connect returns ZStack's SDK, logged in. It makes its own transport, so the time of a bubble goes by its proxy function.
func connect(t *testing.T, node *lab.Lab) *client.ZSClient {
	t.Helper()
	address, err := url.Parse(node.URL)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(address.Port())
	if err != nil {
		t.Fatal(err)
	}
	credentials := node.Credentials()
	config := client.NewZSConfig(address.Hostname(), port, "zstack").ProxyFunc(node.Proxy).RetryInterval(1).RetryTimes(20)
	sdk := client.NewZSClient(config.LoginAccount(credentials.AccountName, credentials.Password))
	if _, err := sdk.Login(); err != nil {
		t.Fatal(err)
	}
	return sdk
}

func statusOf(t *testing.T, sdk *client.ZSClient) string {
	t.Helper()
	storages, err := sdk.QueryBackupStorage(param.NewQueryParam())
	if err != nil || len(storages) != 1 {
		t.Fatalf("%d storages: %v", len(storages), err)
	}
	return storages[0].Status
}

func TestAnOutageIsSeen(t *testing.T) {
	node := started(t)
	sdk := connect(t, node)
	node.Host("imagestore-1").Break("blackhole", nil)
	node.WaitForStatus("imagestore-1", "Disconnected", 15*time.Minute)
	if status := statusOf(t, sdk); status != "Disconnected" {
		t.Errorf("the client sees %s", status)
	}
	node.Heal()
	node.WaitForStatus("imagestore-1", "Connected", 15*time.Minute)
}

// The SDK reports an error for an add whose answer is lost, and does not send it again: the storage is there.
func TestAnAddIsDoneAlthoughItsAnswerIsLost(t *testing.T) {
	node := started(t)
	sdk := connect(t, node)
	lost := node.BreakNode("answer_lost", nil, lab.Params{"api": "AddImageStore*", "first": 1})
	_, err := sdk.AddImageStoreBackupStorage(param.AddImageStoreBackupStorageParam{
		Params: param.AddImageStoreBackupStorageDetailParam{
			Name: "gold", Hostname: "gold", Username: "root", Password: "password", Url: "/cdpdata",
		},
	})
	if err == nil || lost.Hits() != 1 {
		t.Errorf("the add: %v, answers lost: %d", err, lost.Hits())
	}
	node.AssertRequested(lab.Params{"api": "AddImageStore*"}, lab.Exactly(1))
	node.WaitForStatus("gold", "Connected", time.Minute)
}

func TestEightHoursOfPollingTakeNoTime(t *testing.T) {
	outside := started(t)
	began := time.Now()
	synctest.Test(t, func(t *testing.T) {
		node := outside.In(t)
		sdk := connect(t, node)
		for range 32 {
			time.Sleep(15 * time.Minute)
			if status := statusOf(t, sdk); status != "Connected" {
				t.Errorf("the client sees %s", status)
			}
		}
	})
	t.Logf("eight hours took %s", time.Since(began).Round(time.Millisecond))
}
