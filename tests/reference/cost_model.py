#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The reference of the cost model: closed forms of BERT-Large inference on
  (a) a traditional ISAAC-style memristor chip  (TRAD)
  (b) MX1: time-multiplexed in-place crossbars + SRAM small crossbars + SFUs
  (b') MX1-P: the organisation a third-party note attributes to the paper
       (dense RRAM used as *memory* + small compute fabric) - compute fabric costed as digital INT8 MACs
  (c) published GPU/TPU numbers.
Units: ns, pJ, mm2, W unless said otherwise.  1 cycle = 1 ns (1 GHz).
Tags: [S] sourced  [D] derived from a sourced number  [A] assumption
"""
from math import ceil, log2
from dataclasses import dataclass, replace
import json, sys

# ----------------------------------------------------------------- workload
@dataclass(frozen=True)
class Bert:
    L:int=24; d:int=1024; h:int=16; dff:int=4096; vocab:int=30522; pos:int=512; typ:int=2
    @property
    def dh(s): return s.d//s.h
    def params(s):
        emb=(s.vocab+s.pos+s.typ)*s.d+2*s.d
        lay=4*(s.d*s.d+s.d)+2*s.d*s.dff+s.dff+s.d+4*s.d
        return emb+s.L*lay+s.d*s.d+s.d
    def macs_ws(s,T): return s.L*(4*s.d*s.d+2*s.d*s.dff)*T
    def macs_dyn(s,T): return s.L*2*T*T*s.d
    def macs(s,T): return s.macs_ws(T)+s.macs_dyn(T)
B=Bert()

# --------------------------------------------------------- technology, 32 nm
@dataclass(frozen=True)
class Tech:
    # ISAAC (ISCA'16) component values as carried by accelergy-library-plug-in / PUMA constants.py
    e_adc8:float=1.667; a_adc8:float=1200e-6; f_adc:float=1.28      # [S] 16mW/8@1.2GS/s, 9600um2/8 ; 1.28 GS/s
    e_adc7:float=1.42;  a_adc7:float=845e-6                         # [S] same library, capacitive scaling
    p_adc:float=2.0e-3; adc_idle:float=0.10                         # [S] 2 mW each; PUMA leak 0.2/2.0 mW
    e_dac:float=0.39;  a_dac:float=0.166e-6                         # [S] 4mW/1024 x100ns ; 170um2/1024
    e_xbar:float=30.0                                               # [S] 0.3 mW x100 ns per 128x128 array read
    e_sa:float=0.021; a_sa:float=60e-6                              # [S]
    a_sh:float=0.039e-6                                             # [S] 40um2/1024 per S&H
    a_ir_B:float=1.03e-6; a_or_B:float=3.0e-6                       # [S] 2100um2/2KB ; 770um2/256B
    e_reg_b:float=0.03                                              # [S] CACTI small SRAM 0.01-0.035 pJ/b
    e_sram_b:float=0.05; a_sram_MB:float=2.4                        # [D] CACTI 8KB .035/.049 pJ/b ; 0.171um2 cell@60%
    p_sram_KB:float=0.165e-3                                        # [S] PUMA 2KB leak 0.33 mW
    e_noc_b:float=0.081; a_router:float=0.050                       # [S] ISAAC router 20.74 pJ/256b ; [D] 0.151/4 + ctl
    e_add24:float=0.12                                              # [D] Aladdin 32b add .21pJ@40nm
    F:float=32e-6                                                   # mm
    cell_F2:float=4.0                                               # [A] crosspoint (paper-consistent, back-derived)
    a_sel:float=0.10e-6                                             # [A] isolation/select switch per row or column line
    a_tiledec:float=10e-6                                           # [A] local select decoder per subarray
    # small (dynamic) crossbars: digital SRAM-CIM
    e_mac_dx:float=0.20                                             # [D] Chih ISSCC21 89 TOPS/W 4b -> .09pJ INT8@22nm x2
    a_dx_logic:float=0.127; a_kv_MB:float=3.0                       # [D] adder trees 64-in x32 col ; [A] wide-port SRAM
    # special functions (per element) and lanes
    e_sm:float=5.0; e_ln:float=4.0; e_ge:float=3.0; e_rq:float=1.0  # [A]
    a_sm:float=2.5e-3; a_ln:float=3.0e-3; a_ge:float=2.0e-3; a_rq:float=4.0e-3  # [D]/[A]; SOTA 942/1199um2 @28nm
    # memristor write
    e_wr:float=30.0; t_wr_row:float=1000.0                          # [A] 10 pJ x 3 pulses per cell; 1 us/row incl verify
    # links
    e_link_b:float=50.8; bw_link:float=25.6                         # [S] ISAAC HT 10.4 W / 4x6.4 GB/s ; bytes/ns
    a_link:float=22.88; a_io_mx1:float=2.5; p_misc:float=1.0        # [S] HT area ; [A] PCIe x4+PLL ; [A] misc W
TECH=Tech()

# ----------------------------------------------------------------- MX1 config
@dataclass(frozen=True)
class MX1:
    R:int=128; C:int=128; bc:int=2; bw:int=8; ba:int=8      # subarray rows/cols, bits/cell, weight/activation bits
    NG:int=3072; NS:int=32; NA:int=2                        # groups (LCG), subarrays per LCG, ADCs per LCG
    cl:int=64                                               # LCGs per cluster (one router)
    n_dx:int=16; dxr:int=64; dxc:int=32; n_ctx:int=64       # small crossbars: one per head, 64x32 int8, 64 contexts
    sm_lanes:int=64; ln_lanes:int=16; n_ln:int=2; ge_lanes:int=16; rq_lanes:int=32
    bus_B:int=64; buf_KB:int=1280
    t_settle:int=10; t_adc:int=8; t_sa:int=2; t_rq:int=4; t_sw:int=4; c_recip:int=16; c_rsqrt:int=16
    @property
    def S(s): return s.bw//s.bc
    @property
    def Cw(s): return s.C//s.S
    def t_bit(s,t=TECH): return max(s.t_settle, ceil(s.C/(s.NA*t.f_adc)-1e-9))
    def tiles(s,K,N): return ceil(K/s.R)*ceil(N/s.Cw)
    def capacity_params(s): return s.NG*s.NS*s.R*s.Cw
M=MX1()

# ================================================= exact timing formulas (cycles)
def t_wsmvm(m,K,N,T,g=None,tech=TECH):
    """Weight-stationary [T,K]x[K,N]; g = number of LCGs the matrix is spread over. returns (total, II, latency)"""
    n=m.tiles(K,N); g=g or n; p=ceil(n/g)
    mv=p*m.ba*m.t_bit(tech)+(p*m.t_sw if p>1 else 0)
    ii=max(mv, ceil(K/m.bus_B), ceil(N/m.rq_lanes))
    kb=ceil(K/m.R)
    lat=ceil(K/m.bus_B)+mv+m.t_settle+m.t_adc+m.t_sa+2*ceil(log2(max(2,kb)))+m.t_rq+ceil(N/m.rq_lanes)
    return (T-1)*ii+lat, ii, lat
def t_dynwrite(m,T,b=B):   # K and V of T tokens into the DX contexts (d bytes each), bus-limited; heads in parallel
    per=ceil(2*b.d/m.bus_B); return T*per, per, per
def t_qk(m,T,b=B):  # one query, one head
    per=m.n_dx/b.h
    return ceil(ceil(b.dh/m.dxr)*ceil(T/m.dxc)/per)*m.ba
def t_pv(m,T,b=B):
    per=m.n_dx/b.h
    return ceil(ceil(T/m.dxr)*ceil(b.dh/m.dxc)/per)*m.ba
def t_softmax(m,T,b=B):  # one query, per head group of lanes; pass 1 streams behind QK^T, pass 2 normalises
    l=m.sm_lanes//b.h; p1=ceil(T/l); p2=ceil(T/l)
    return (p1+m.c_recip+p2, p1+p2)              # (latency if not overlapped, II)
def t_ln(m,d=1024): p=ceil(d/m.ln_lanes); return (2*p+m.c_rsqrt, 2*p)
def t_gelu(m,N=4096): return (ceil(N/m.ge_lanes)+8, ceil(N/m.ge_lanes))
def t_dma(nbytes,setup=500,B_link=3.3): return setup+ceil(nbytes/B_link)

def layer_stages(m,T,tech=TECH,b=B):
    """(name, II, latency) of the in-layer token pipeline"""
    d,ff=b.d,b.dff
    qk,pv=t_qk(m,T,b),t_pv(m,T,b); sml,smi=t_softmax(m,T,b)
    _,io,lo=t_wsmvm(m,d,d,T,tech=tech); _,i1,l1=t_wsmvm(m,d,ff,T,tech=tech); _,i2,l2=t_wsmvm(m,ff,d,T,tech=tech)
    _,iq,lq=t_wsmvm(m,d,3*d,T,tech=tech)
    lnl,lni=t_ln(m,d); gl,gi=t_gelu(m,ff); _,wi,wl=t_dynwrite(m,T,b)
    l=m.sm_lanes//b.h
    att_lat=qk + m.c_recip + ceil(T/l) + pv      # softmax pass 1 overlaps QK^T when 4 lanes/head
    return [("ATT",max(qk+pv,smi),att_lat),("O",io,lo),("LN1",lni,lnl),("FFN1",i1,l1),("GELU",gi,gl),
            ("FFN2",i2,l2),("LN2",lni,lnl),("QKV(l+1)",iq,lq),("KVWR",wi,wl)]

def mx1_latency(m,T,tech=TECH,b=B):
    st=layer_stages(m,T,tech,b); ii=max(s[1] for s in st); fill=sum(s[2] for s in st)
    per_layer=(T-1)*ii+fill
    emb=3*m.t_bit(tech)+t_ln(m)[0]                            # first token; later tokens hide under QKV(0)
    _,iq,lq=t_wsmvm(m,b.d,3*b.d,T,tech=tech); _,_,wl=t_dynwrite(m,T,b)
    head=t_wsmvm(m,b.d,b.d,1,tech=tech)[2]+200                # pooler + classifier
    first=emb+(T-1)*max(iq,3*m.t_bit(tech),t_ln(m)[1])+lq+wl  # embedding + LN + QKV(0) + KV write
    lat=first+b.L*per_layer-(lq+wl)+head                      # last layer has no QKV(l+1)/KV write
    # sustained interval: 2 interleaved sequences fill the layer-barrier bubbles if the KV of 3 (seq,layer) pairs fits
    ctx=ceil(T/m.dxc)*ceil(b.dh/m.dxr)+ceil(T/m.dxr)*ceil(b.dh/m.dxc)   # contexts per head-unit per (sequence,layer)
    ctx=ceil(ctx*b.h/m.n_dx)
    assert 2*ctx<=m.n_ctx, "KV of two layers must fit"
    interval=b.L*T*ii if 3*ctx<=m.n_ctx else b.L*per_layer
    return dict(ii=ii,fill=fill,per_layer=per_layer,lat_us=lat/1e3,interval_us=interval/1e3,stages=st)

def mx1_area(m,tech=TECH):
    cell=tech.cell_F2*tech.F**2; nt=m.NG*m.NS
    a={}
    a["large_cells"]=nt*m.R*m.C*cell
    a["large_select"]=nt*((m.R+m.C)*tech.a_sel+tech.a_tiledec)
    a["large_adc"]=m.NG*m.NA*tech.a_adc8
    a["large_dac_sh_sa"]=m.NG*(m.R*tech.a_dac+m.C*tech.a_sh+m.NA*tech.a_sa+100e-6)
    a["large_regs"]=m.NG*(2*m.R*m.ba/8*tech.a_ir_B+2*m.Cw*3*tech.a_or_B)
    a["small_logic"]=m.n_dx*tech.a_dx_logic*(m.dxr*m.dxc)/2048
    a["small_kv_sram"]=m.n_dx*m.n_ctx*m.dxr*m.dxc/2**20*tech.a_kv_MB
    a["sfu"]=m.sm_lanes*tech.a_sm+m.n_ln*m.ln_lanes*tech.a_ln+m.ge_lanes*tech.a_ge+4*m.rq_lanes*tech.a_rq
    a["act_buffer"]=m.buf_KB/1024*tech.a_sram_MB
    a["noc"]=ceil(m.NG/m.cl)*tech.a_router
    a["ctl_io"]=0.5+tech.a_io_mx1
    a["TOTAL"]=sum(a.values()); return a

def ws_energy(T,C_per_tilebit,tilebits,tech,adc):
    e={}
    e["adc"]=tilebits*C_per_tilebit*adc
    e["dac"]=tilebits*128*tech.e_dac
    e["xbar"]=tilebits*tech.e_xbar
    e["s+a"]=tilebits*C_per_tilebit*tech.e_sa
    return e
def common_digital(T,m,tech,b=B,tiles=3072):
    tt=b.L*T*tiles                                            # token-tiles
    e={}
    e["inreg"]=tt*(m.R*8*tech.e_reg_b*2)                      # write + 8 one-bit reads
    e["psum_red"]=tt*m.Cw*(tech.e_add24+24*tech.e_reg_b*2)
    e["noc"]=b.L*T*(393e3+9216*8*4)*tech.e_noc_b
    e["act_sram"]=b.L*T*16384*8*tech.e_sram_b
    return e

def mx1_energy(m,T,tech=TECH,b=B,lat_us=None,interval=False):
    tiles=m.tiles(b.d,b.d)*4+m.tiles(b.d,b.dff)+m.tiles(b.dff,b.d)
    tb=b.L*T*tiles*m.ba
    e=ws_energy(T,m.C,tb,tech,tech.e_adc8); e.update(common_digital(T,m,tech,b,tiles))
    e["small_mac"]=b.macs_dyn(T)*tech.e_mac_dx
    e["small_write"]=b.L*T*2*b.d*8*tech.e_sram_b
    e["softmax"]=b.L*b.h*T*T*tech.e_sm; e["layernorm"]=(2*b.L+1)*T*b.d*tech.e_ln
    e["gelu"]=b.L*T*b.dff*tech.e_ge;    e["requant"]=b.L*T*9*b.d*tech.e_rq
    L=mx1_latency(m,T,tech,b); dur=(L["interval_us"] if interval else L["lat_us"])*1e-6
    sram_KB=m.n_dx*m.n_ctx*m.dxr*m.dxc/1024+m.buf_KB+m.NG*(2*m.R+2*m.Cw*3)/1024
    pst=sram_KB*tech.p_sram_KB+tech.p_misc
    util=(tb*m.C/tech.f_adc*1e-9)/(m.NG*m.NA)/dur
    pst+=m.NG*m.NA*tech.p_adc*tech.adc_idle*max(0,1-util)
    e["static"]=pst*dur*1e12
    e={k:v*1e-9 for k,v in e.items()}                         # mJ
    e["TOTAL"]=sum(e.values()); e["adc_util"]=util; return e

# ----------------------------------------------------------------- TRAD (ISAAC-style)
def trad(T,cells=4,attn="rewrite",tech=TECH,b=B,gate=False,io_area=True):
    """cells per 8-bit weight: 4 => 2-bit cells ('multi-bit'), 8 => 1-bit cells ('single-bit').
       attn: 'rewrite' = K,V written into memristors every layer ; 'offchip' = Q,K,V shipped to a companion."""
    Cw=128//cells
    nt=lambda K,N: ceil(K/128)*ceil(N/Cw)
    tiles=4*nt(b.d,b.d)+nt(b.d,b.dff)+nt(b.dff,b.d)
    arrays=b.L*tiles+nt(b.d,b.d)+ceil((b.vocab+b.pos+b.typ)/128)*ceil(b.d/Cw)
    if attn=="rewrite": arrays+=2*2*ceil(T*b.d/(128*Cw))                     # K,V double-buffered, shared by all layers
    adc_e,adc_a=(tech.e_adc8,tech.a_adc8) if cells==4 else (tech.e_adc7,tech.a_adc7)
    a_tile=0.372-96*(1200e-6-adc_a)                                          # [S] ISAAC tile 0.372 mm2 / 96 arrays
    isaac_tiles=arrays/96; chips=isaac_tiles/168
    area=isaac_tiles*a_tile+(ceil(chips)*tech.a_link if io_area else 0)
    tb=b.L*T*tiles*8; e=ws_energy(T,128,tb,tech,adc_e); e.update(common_digital(T,M,tech,b,tiles))
    # off-chip non-linear functions: 2 B out + 1 B back per element
    nl=b.L*T*(2*b.d+b.dff+(b.h*T if attn=="rewrite" else 0))*3
    off=nl+(b.L*T*b.d*4 if attn=="offchip" else 0)
    t_off=off/tech.bw_link
    e["link"]=off*8*tech.e_link_b
    t_w=0; 
    if attn=="rewrite":
        wc=b.L*2*T*b.d*cells; e["mem_write"]=wc*tech.e_wr
        t_w=b.L*128*tech.t_wr_row                                            # all K and V arrays written in parallel, row by row
        dtb=b.L*T*8*(2*ceil(T*b.d/(128*Cw)))                                 # crossbar MVMs for QK^T and PV
        for k,v in ws_energy(T,128,dtb,tech,adc_e).items(): e[k]+=v
    else: e["companion_attn"]=b.macs_dyn(T)*1.0                              # [A] 1 pJ/MAC on companion
    e["companion_nl"]=b.L*T*(2*b.d+b.dff+b.h*T)*10.0                         # [A] 10 pJ/element on companion
    ii=8*100                                                                 # one ADC per array: 100 ns per bit [S]
    lat=b.L*(T*ii+3*ii+2000)+t_w+t_off                                       # ns, single stream
    interval=max(T*ii+(128*tech.t_wr_row if attn=="rewrite" else 0), t_off)  # layers all resident & pipelined
    if not gate: e["adc_idle"]=arrays*tech.p_adc*tech.adc_idle*lat*1e-9*1e12
    e={k:v*1e-9 for k,v in e.items()}; e["TOTAL"]=sum(e.values())
    return dict(area=area,arrays=arrays,chips=chips,lat_us=lat/1e3,interval_us=interval/1e3,e=e)

# ----------------------------------------------------------------- MX1-P (note-attributed organisation)
def mx1p(T,macs=36864,e_mac=0.23,a_mac=400e-6,tech=TECH,b=B):
    """10 dense banks 1k x 64k x 4 b/cell hold all INT8 parameters (+2 for intermediates); weights are READ and
       consumed by a small compute fabric.  Fabric cost uses a digital INT8 MAC: 0.23 pJ [S Horowitz 45nm mul+add],
       400 um2 [D Aladdin 32b mult/16 + 24b acc @32nm]."""
    banks=12; cells=banks*1024*65536
    a={"dense_cells":cells*4*tech.F**2,"dense_periph":banks*0.25,"mac":macs*a_mac,"act_sram":3.0*tech.a_sram_MB,
       "sfu":1.9,"noc_ctl_io":5.0}; a["TOTAL"]=sum(a.values())
    util=0.85; lat=b.macs(T)/(macs*util)+b.L*3000
    passes=ceil(T/128)
    e={"mac":b.macs(T)*e_mac,"dense_read":b.macs_ws(1)*8*0.5*passes,            # [A] 0.5 pJ/bit incl. sense
       "act_sram":b.macs(T)/128*2*8*tech.e_sram_b*4,"psum":b.macs(T)/64*24*tech.e_sram_b,
       "sfu":b.L*T*(b.h*T*tech.e_sm+2*b.d*tech.e_ln+b.dff*tech.e_ge+9*b.d*tech.e_rq),
       "static":(3072*tech.p_sram_KB+tech.p_misc+macs*5e-6)*lat*1e-9*1e12}
    e={k:v*1e-9 for k,v in e.items()}; e["TOTAL"]=sum(e.values())
    return dict(area=a,lat_us=lat/1e3,e=e)

# ----------------------------------------------------------------- published accelerators
# name: area mm2, W, {T:(batch-1 latency ms, best-throughput ms per sequence)}
PUB={
 "A100 INT8 (TRT10.0)":(826,400,{128:(1.24,25.01/128),384:(2.55,87.73/128)}),
 "A100 FP16 (TRT10.0)":(826,400,{128:(1.54,48.71/128),384:(2.95,155.65/128)}),
 "V100 FP16 (TRT7.2)":(815,300,{128:(3.05,71.47/64),384:(5.66,239.07/64)}),
 "T4 INT8 (TRT7.2)":(545,70,{128:(4.10,63.54/32),384:(7.73,49.41/8)}),
}
PAPER={"GPU":2.04,"TPU":2.24,"OURS":0.03}

def report():
    out={}
    print("== workload"); print(f"params {B.params():,}  MX1 capacity {M.capacity_params():,} ({M.capacity_params()/B.params():.2f}x)")
    for T in(128,384,512): print(f" T={T}: WS {B.macs_ws(T)/1e9:.1f} + dyn {B.macs_dyn(T)/1e9:.2f} GMAC")
    A=mx1_area(M); print("\n== MX1 area mm2"); [print(f"  {k:16s}{v:8.2f}") for k,v in A.items()]
    for T in(128,384,512):
        L=mx1_latency(M,T); E=mx1_energy(M,T); 
        print(f"\n== MX1 T={T}: II {L['ii']} cyc/token, fill {L['fill']}, latency {L['lat_us']:.0f} us, pipelined {1e6/L['interval_us']:.0f} inf/s, "
              f"E {E['TOTAL']:.1f} mJ ({E['TOTAL']*1e9/B.macs(T):.2f} pJ/MAC, {2/(E['TOTAL']*1e9/B.macs(T)):.2f} TOPS/W), P {E['TOTAL']/L['lat_us']*1e3:.1f} W, "
              f"{E['TOTAL']/L['lat_us']*1e3/A['TOTAL']:.2f} W/mm2, ADP {A['TOTAL']*L['lat_us']*1e-6:.4f} mm2.s, ADC util {E['adc_util']:.2f}")
        print("   stages:", [(n,i,l) for n,i,l in L['stages']])
        print("   energy mJ:",{k:round(v,3) for k,v in E.items() if k not in('TOTAL','adc_util')})
    print("\n== traditional")
    for T in(128,384,512):
        for cells in(4,8):
            for at in("rewrite","offchip"):
                t=trad(T,cells,at); print(f"T={T} {'MB2' if cells==4 else 'SB1'} {at:8s} area {t['area']:.0f} (no IO {trad(T,cells,at,io_area=False)['area']:.0f}) arrays {t['arrays']} chips {t['chips']:.1f} lat {t['lat_us']:.0f}us int {t['interval_us']:.0f}us E {t['e']['TOTAL']:.0f} mJ "
                    ,{k:round(v,1) for k,v in t['e'].items() if k!='TOTAL'})
    print("\n== MX1-P")
    for T in(128,384,512):
        p=mx1p(T); print(f"T={T} area {p['area']['TOTAL']:.1f} lat {p['lat_us']:.0f}us E {p['e']['TOTAL']:.1f} mJ ADP {p['area']['TOTAL']*p['lat_us']*1e-6:.4f} W/mm2 {p['e']['TOTAL']/p['lat_us']*1e3/p['area']['TOTAL']:.2f}",
              {k:round(v,2) for k,v in p['e'].items()},{k:round(v,1) for k,v in p['area'].items()} if T==128 else "")
    print("\n== ratios"); hdr=f"{'':34s}{'T=128':>10s}{'T=384':>10s}{'T=512':>10s}"
    print(hdr)
    def row(n,f): print(f"{n:34s}"+"".join(f"{f(T):10.2f}" if f(T) is not None else f"{'-':>10s}" for T in(128,384,512)))
    at=A['TOTAL']
    for nm,io in(("with IO",True),("no trad IO",False)):
        row(f"area trad-MB2/MX1 {nm}",lambda T:trad(T,4,io_area=io)['area']/at); row(f"area trad-SB1/MX1 {nm}",lambda T:trad(T,8,io_area=io)['area']/at)
    row("periph-only area MB2/MX1",lambda T:trad(T,4)['arrays']/M.NG/M.NA)
    for cells in(4,8):
        n='MB2' if cells==4 else 'SB1'
        row(f"E {n} rewrite 30pJ /MX1",lambda T:trad(T,cells)['e']['TOTAL']/mx1_energy(M,T)['TOTAL'])
        tt=replace(TECH,e_wr=1.38,t_wr_row=86.)
        row(f"E {n} rewrite 1.38pJ(PUMA)/MX1",lambda T:trad(T,cells,tech=tt)['e']['TOTAL']/mx1_energy(M,T)['TOTAL'])
        row(f"E {n} offchip attn /MX1",lambda T:trad(T,cells,"offchip")['e']['TOTAL']/mx1_energy(M,T)['TOTAL'])
        tl=replace(TECH,e_link_b=6.0)
        row(f"E {n} offchip,6pJ/b,ADC gated/MX1",lambda T:trad(T,cells,"offchip",tech=tl,gate=True)['e']['TOTAL']/mx1_energy(M,T)['TOTAL'])
    adp=lambda T:at*mx1_latency(M,T)['lat_us']*1e-6
    adpt=lambda T:at*mx1_latency(M,T)['interval_us']*1e-6
    row("ADP paper-GPU 2.04 / MX1",lambda T:2.04/adp(T)); row("ADP paper-TPU 2.24 / MX1",lambda T:2.24/adp(T))
    for n,(a,w,d) in PUB.items():
        row(f"ADP b1 {n}",lambda T:a*d[T][0]*1e-3/adp(T) if T in d else None)
        row(f"  ADP batched {n}",lambda T:a*d[T][1]*1e-3/adpt(T) if T in d else None)
        row(f"  E saving b1 % (TDP)",lambda T:100*(1-mx1_energy(M,T)['TOTAL']/(w*d[T][0])) if T in d else None)
        row(f"  E saving batched % (TDP)",lambda T:100*(1-mx1_energy(M,T,interval=True)['TOTAL']/(w*d[T][1])) if T in d else None)
    row("latency-ADP trad-MB2 offchip/MX1",lambda T:trad(T,4,'offchip')['area']*trad(T,4,'offchip')['lat_us']*1e-6/adp(T))
    row("thruput-ADP trad-MB2 offchip/MX1",lambda T:trad(T,4,'offchip')['area']*trad(T,4,'offchip')['interval_us']*1e-6/adpt(T))
    row("thruput-ADP trad-MB2 IF on-chip NL, no IO",lambda T:trad(T,4,'offchip',io_area=False)['area']*T*800e-9/adpt(T))
    row("H100 derived (A100 batched/4.5) thruput-ADP",lambda T:814*PUB["A100 INT8 (TRT10.0)"][2][T][1]/4.5*1e-3/adpt(T) if T!=512 else None)
    row("E saving % vs AI100 measured 161.5 mJ",lambda T:100*(1-mx1_energy(M,T)['TOTAL']/161.5) if T==384 else None)
    MT=replace(M,NA=4,n_dx=32,n_ctx=32,sm_lanes=128,ge_lanes=32)
    adpT=lambda T:mx1_area(MT)['TOTAL']*mx1_latency(MT,T)['lat_us']*1e-6
    row("MX1-T (NA=4): ADP paper-GPU",lambda T:2.04/adpT(T)); row("MX1-T (NA=4): ADP A100 INT8 b1",lambda T:826*PUB["A100 INT8 (TRT10.0)"][2][T][0]*1e-3/adpT(T) if T!=512 else None)
    row("MX1-T W/mm2",lambda T:mx1_energy(MT,T)['TOTAL']/mx1_latency(MT,T)['lat_us']*1e3/mx1_area(MT)['TOTAL'])
    row("MX1-T area MB2(io)",lambda T:trad(T,4)['area']/mx1_area(MT)['TOTAL'])
    row("MX1-P: ADP paper-GPU / MX1-P",lambda T:2.04/(mx1p(T)['area']['TOTAL']*mx1p(T)['lat_us']*1e-6))
    row("MX1-P: ADP A100 INT8 b1",lambda T:(826*{128:1.24,384:2.55}.get(T,0)*1e-3/(mx1p(T)['area']['TOTAL']*mx1p(T)['lat_us']*1e-6)) or None)
    row("MX1-P: area MB2 (io)/MX1-P",lambda T:trad(T,4)['area']/mx1p(T)['area']['TOTAL'])
    row("MX1-P: area SB1 (io)/MX1-P",lambda T:trad(T,8)['area']/mx1p(T)['area']['TOTAL'])
    row("MX1-P: E MB2 rewrite30/MX1-P",lambda T:trad(T,4)['e']['TOTAL']/mx1p(T)['e']['TOTAL'])
    print("\n== geometry sweep (ADCs per group) T=128 / 384")
    for na in(1,2,4,8):
        m=replace(M,NA=na,n_dx=16 if na<4 else (32 if na==4 else 64),sm_lanes=64 if na<4 else(128 if na==4 else 256),ln_lanes=16 if na<8 else 32, ge_lanes=16 if na<4 else (32 if na==4 else 64),rq_lanes=32 if na<8 else 64,n_ctx=64 if na<4 else(32 if na==4 else 16))  # same 2 MB of KV storage
        a=mx1_area(m)['TOTAL']
        print(f" NA={na} tbit={m.t_bit()} area {a:.1f}",*(f"| T={T} II {mx1_latency(m,T)['ii']} lat {mx1_latency(m,T)['lat_us']:.0f}us E {mx1_energy(m,T)['TOTAL']:.1f}mJ W/mm2 {mx1_energy(m,T)['TOTAL']/mx1_latency(m,T)['lat_us']*1e3/a:.2f} ADP {a*mx1_latency(m,T)['lat_us']*1e-6:.4f}" for T in(128,384)))
    print("\n== sensitivity (T=384): value -> area, lat, E, ADP ratio vs paper GPU 2.04")
    def sens(n,m=M,t=TECH):
        a=mx1_area(m,t)['TOTAL']; l=mx1_latency(m,384,t)['lat_us']; e=mx1_energy(m,384,t)['TOTAL']
        print(f"  {n:44s} area {a:7.1f} lat {l:6.0f}us E {e:6.1f} mJ  ADPx {2.04/(a*l*1e-6):5.1f}")
    sens("base"); 
    sens("cell 1.49F2 (ISAAC)",t=replace(TECH,cell_F2=1.49)); sens("cell 12F2 1T1R",t=replace(TECH,cell_F2=12)); sens("cell 48F2 (NeuroSim 1T1R)",t=replace(TECH,cell_F2=48))
    sens("cell at published macro 2.37Mb/mm2@40nm",t=replace(TECH,cell_F2=1/2.37e6/ (40e-6**2)*2))
    sens("ADC area/4, e/4 (e.g. 6-7b truncated)",t=replace(TECH,a_adc8=300e-6,e_adc8=0.42))
    sens("ADC x2 area & energy (silicon 3.1 mW)",t=replace(TECH,a_adc8=2400e-6,e_adc8=2.58))
    sens("4-bit activations",m=replace(M,ba=4)); 
    a14=0.38; print(f"  all-CMOS shrink 32->14nm (x0.38 area [S Stillmaker]): area {mx1_area(M)['TOTAL']*a14:.1f}, ADPx {2.04/(mx1_area(M)['TOTAL']*a14*mx1_latency(M,384)['lat_us']*1e-6):.1f} at T=384 (power density rises)")
    print("\n== trad E ratio vs memristor write energy (MB2 rewrite, T=384 & 128)")
    for ew in(1.38,5,10,20,30,100):
        t=replace(TECH,e_wr=ew); print(f"  {ew:6.2f} pJ/cell: ", *(f"T={T}: {trad(T,4,tech=t)['e']['TOTAL']/mx1_energy(M,T)['TOTAL']:.1f}x (ADC gated {trad(T,4,tech=t,gate=True)['e']['TOTAL']/mx1_energy(M,T)['TOTAL']:.1f}x)" for T in(128,384)))
    print("\n== floors and checks")
    for T in(128,384,512):
        conv=B.L*T*3072*8*128
        print(f"  T={T}: 8b conversions {conv/1e9:.2f} G -> ADC-area-time floor {conv*TECH.a_adc8/TECH.f_adc*1e-9:.4f} mm2.s, ADC energy floor {conv*TECH.e_adc8*1e-9:.1f} mJ; "
              f"ADP floor at 0.5 / 1.0 W/mm2: {mx1_energy(M,T)['TOTAL']*1e-3/0.5:.4f} / {mx1_energy(M,T)['TOTAL']*1e-3/1.0:.4f} mm2.s")
    t=trad(128); wps=B.L/(t['lat_us']*1e-6)
    print(f"  rewriting K,V in shared memristor arrays: {wps:.0f} writes/s/cell -> life at 1e6 {1e6/wps/60:.1f} min, 1e8 {1e8/wps/3600:.1f} h, 1e9 {1e9/wps/86400:.1f} days")
    cells=B.params()*M.S; rows=cells/M.C
    print(f"  one-time programming: {cells/1e9:.2f} G cells, {cells*TECH.e_wr*1e-9:.0f} mJ, {rows*TECH.t_wr_row*1e-9/256:.2f} s with 256 LCGs in parallel")
    print("\n== consistency of the paper's own claims")
    print(f"  0.31 x 68 = {0.31*68:.1f}: power density of the paper's chip relative to the GPU/TPU if ADP and energy share the same delay")
if __name__=="__main__": report()
