//! What a job costs at a place, in money: compute, expected waste, egress, and the price of waiting for the bytes.

use std::sync::Arc;

use muster_model::{
    ClusterSpec, CostKind, CostLine, DataNeed, DatasetSpec, DurationMs, EgressPrice, GpuModel, Location,
    MemberName, MicroUsd, PriceClass,
};

use crate::basis::Basis;
use crate::carried::{Carriage, NeededData};
use crate::demand::{Demand, GpuUse};
use crate::prices::{Figure, Prices};
use crate::rejected::Rejected;

/// How long a job takes to come back after an interruption, its last checkpoint read.
pub const RESTART: DurationMs = DurationMs::from_secs(180);

/// What a job costs at a place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quote {
    /// Compute per hour, all pods together.
    pub hourly: MicroUsd,
    /// The lines.
    pub lines: Vec<PricedLine>,
    /// Their sum.
    pub total: MicroUsd,
    /// How long the missing bytes are under way.
    pub transfer: DurationMs,
    /// Datasets whose files must lie at the member before a pod starts.
    pub data: Vec<DataNeed>,
}

/// One line of a quote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PricedLine {
    /// What is paid.
    pub kind: CostKind,
    /// How much.
    pub amount: MicroUsd,
    /// What that rests on.
    pub basis: Basis,
}

impl Quote {
    /// Prices a job at a member; `Err` if something has no price there.
    pub fn new(
        prices: &Prices,
        demand: &Demand,
        (member, spec): (&MemberName, &ClusterSpec),
        gpus: &GpuUse,
    ) -> Result<Quote, Rejected> {
        let mut quote = Quote::default();
        match &gpus.model {
            Some(model) => quote.add_compute(prices, demand, spec, model, gpus.gpu_milli(&demand.spec))?,
            None => quote.add(CostKind::Compute, MicroUsd(0), Basis::NoGpu),
        }
        for needed in &demand.datasets {
            match needed.carried() {
                Some(data) => {
                    quote.add_carriage(needed.carriage(data, prices, (member, spec))?, demand, needed)
                }
                None => quote.add_data(prices, demand, needed, &spec.location)?,
            }
        }
        Ok(quote)
    }

    /// What is booked once when the job starts there.
    pub fn one_off(&self) -> Vec<CostLine> {
        let egress =
            self.lines.iter().filter(|line| line.kind == CostKind::Egress).map(|line| line.amount).sum();
        if egress == MicroUsd(0) {
            Vec::new()
        } else {
            vec![CostLine { kind: CostKind::Egress, amount: egress }]
        }
    }

    fn add(&mut self, kind: CostKind, amount: MicroUsd, basis: Basis) {
        self.total += amount;
        self.lines.push(PricedLine { kind, amount, basis });
    }

    /// Owned GPUs without a price count nothing; rented ones without a price are not rented.
    fn add_compute(
        &mut self,
        prices: &Prices,
        demand: &Demand,
        spec: &ClusterSpec,
        model: &GpuModel,
        gpu_milli: u64,
    ) -> Result<(), Rejected> {
        let place = &spec.location;
        let price = prices.compute(place, model);
        let per_gpu = price.and_then(|p| {
            if spec.price_class == PriceClass::Spot { p.price.spot } else { Some(p.price.on_demand) }
        });
        let (Some(figure), Some(per_gpu)) = (price, per_gpu) else {
            if spec.price_class == PriceClass::OnPrem {
                let basis = Basis::NoPrice { model: model.clone(), place: place.clone() };
                self.add(CostKind::Compute, MicroUsd(0), basis);
                return Ok(());
            }
            return Err(Rejected::NoPrice {
                model: model.clone(),
                place: place.clone(),
                class: spec.price_class,
            });
        };
        self.hourly = per_gpu.scaled(i128::from(gpu_milli), 1000);
        let basis = Basis::Compute {
            gpu_milli,
            price: per_gpu,
            class: spec.price_class,
            place: figure.price.place.clone(),
            duration: demand.duration,
            duration_source: demand.duration_source,
            from_book: figure.provenance(),
        };
        self.add(CostKind::Compute, self.hourly.for_duration(demand.duration), basis);
        if spec.price_class == PriceClass::Spot {
            self.add_waste(demand, figure.price.interruptions_milli_per_hour);
        }
        Ok(())
    }

    /// interruptions per hour x T x (min(T, checkpoint interval or T) / 2 + restart), priced per hour.
    fn add_waste(&mut self, demand: &Demand, interruptions_milli_per_hour: u64) {
        let interval = demand.options.checkpoint.as_ref().map_or(demand.duration, |c| c.interval);
        let exposed = interval.min(demand.duration);
        let twice_lost = exposed.0.saturating_add(2 * RESTART.0);
        let numerator = i128::from(interruptions_milli_per_hour)
            .saturating_mul(i128::from(demand.duration.0))
            .saturating_mul(i128::from(twice_lost));
        let hour = i128::from(DurationMs::HOUR.0);
        let amount = self.hourly.scaled(numerator, 2 * 1000 * hour * hour);
        let basis = Basis::Waste {
            interruptions_milli_per_hour,
            duration: demand.duration,
            lost: DurationMs(exposed.0 / 2),
            restart: RESTART,
            hourly: self.hourly,
        };
        self.add(CostKind::Waste, amount, basis);
    }

    /// Data that members carry. What is under way already is paid by whoever it was begun for.
    fn add_carriage(&mut self, carriage: Carriage, demand: &Demand, needed: &NeededData) {
        let Carriage { need, egress: (amount, basis), wait } = carriage;
        self.data.push(need);
        self.add(CostKind::Egress, amount, basis);
        let Some(wait) = wait else { return };
        self.transfer = DurationMs(self.transfer.0.saturating_add(wait.wait.0));
        let per_hour = demand.wait_cost_per_hour;
        let basis = Basis::CarriageWait {
            dataset: Arc::clone(&needed.name),
            bytes: wait.bytes,
            bytes_per_second: wait.bytes_per_second,
            speed: wait.source,
            wait: wait.wait,
            per_hour,
        };
        self.add(CostKind::TransferWait, per_hour.for_duration(wait.wait), basis);
    }

    /// Datasets are copied one after the other, each from where it is cheapest.
    fn add_data(
        &mut self,
        prices: &Prices,
        demand: &Demand,
        needed: &NeededData,
        place: &Location,
    ) -> Result<(), Rejected> {
        let (name, dataset) = (&needed.name, &needed.dataset.spec);
        if dataset.is_in(place) {
            let basis =
                Basis::InPlace { dataset: Arc::clone(name), place: Location { zone: None, ..place.clone() } };
            self.add(CostKind::Egress, MicroUsd(0), basis);
            return Ok(());
        }
        let figure = cheapest_route(prices, name, dataset, place)?;
        let route = &figure.price;
        let bytes = dataset.missing_in(place);
        let basis = Basis::Egress {
            dataset: Arc::clone(name),
            bytes,
            size: dataset.size_bytes,
            from: route.from.clone(),
            to: route.to.clone(),
            per_gib: route.per_gib,
            from_book: figure.provenance(),
        };
        self.add(CostKind::Egress, route.per_gib.for_bytes(bytes), basis);
        let wait = transfer_time(bytes, route.mbps);
        self.transfer = DurationMs(self.transfer.0.saturating_add(wait.0));
        let per_hour = demand.wait_cost_per_hour;
        let basis =
            Basis::TransferWait { dataset: Arc::clone(name), bytes, mbps: route.mbps, wait, per_hour };
        self.add(CostKind::TransferWait, per_hour.for_duration(wait), basis);
        Ok(())
    }
}

/// The copy that costs least to read from here; of equally cheap ones the fastest, then the first by place.
fn cheapest_route<'a>(
    prices: &'a Prices,
    name: &Arc<str>,
    dataset: &DatasetSpec,
    to: &Location,
) -> Result<&'a Figure<EgressPrice>, Rejected> {
    let first = dataset.replicas.first().ok_or_else(|| Rejected::NoReplica(Arc::clone(name)))?;
    let routes = dataset
        .replicas
        .iter()
        .filter_map(|from| prices.egress(from, to))
        .filter(|route| route.price.mbps > 0);
    routes
        .min_by_key(|route| (route.price.per_gib, u64::MAX - route.price.mbps, &route.price.from))
        .ok_or_else(|| Rejected::NoRoute { dataset: Arc::clone(name), from: first.clone(), to: to.clone() })
}

/// A megabit per second is a thousand bits per millisecond.
fn transfer_time(bytes: u64, mbps: u64) -> DurationMs {
    let bits = u128::from(bytes) * 8;
    let ms = bits.div_ceil(u128::from(mbps) * 1000);
    DurationMs(u64::try_from(ms).unwrap_or(u64::MAX))
}
