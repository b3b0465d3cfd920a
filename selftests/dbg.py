import sys,os,socket,struct,subprocess,time
sys.path.insert(0,"selftests/lib")
import net,kernel
env=net.enter("replacement"); env.deliver("napi")
os.sched_setaffinity(0,{0})
T="/sys/kernel/tracing/"
subprocess.run("mount -t tracefs t /sys/kernel/tracing; ethtool -k lo | grep -i gro; ethtool -C lo adaptive-rx off rx-usecs 10000 rx-frames 16",shell=True)
kernel.write(T+"kprobe_events","r:x skb_gro_receive ret=$retval:s32")
kernel.write(T+"events/kprobes/x/enable","1")
for e in ("napi_gro_receive_entry","napi_gro_receive_exit","netif_receive_skb_entry","netif_receive_skb_list_entry"):
    kernel.write(T+"events/net/%s/enable"%e,"1")
s,r=net.udp_pair(sys.argv[1])
if len(sys.argv)>2: s.setsockopt(0,10,2)
r.setsockopt(17,104,1)
for i in range(16): s.send(b"z"*500)
time.sleep(.1)
import collections; print(collections.Counter(l.split()[-1] for l in open(T+"trace") if "exit" in l)); print([len(r.recvmsg(70000,100)[0]) for _ in range(1)])

print(os.popen("grep -c skb_gro_receive /sys/kernel/tracing/trace; grep ' x:' /sys/kernel/tracing/trace|head -4").read())
