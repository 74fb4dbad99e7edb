//! Which cluster runs which job: feasibility, cost in money, score, and a report that explains it.
